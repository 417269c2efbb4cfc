# SPDX-License-Identifier: Apache-2.0
"""A first day with `openstack`: what a person types, and what comes back."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.common import CLIENT
from tests.clients.conftest import Client
from tests.live.box import GUEST_IMAGE

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def image(openstack: Client) -> str:
    made = openstack(
        *("image", "create", "--disk-format", "qcow2", "--container-format", "bare"),
        *("--file", str(GUEST_IMAGE), "--property", "os_distro=busybox", "tiny"),
    )
    return str(made["id"])


def test_who_am_i(openstack: Client) -> None:
    token = openstack("token", "issue")
    assert set(token) == {"expires", "id", "project_id", "user_id"}
    services = {entry["Type"] for entry in openstack("catalog", "list")}
    assert services == {"compute", "identity", "image", "network"}
    assert {entry["Type"] for entry in openstack("service", "list")} == services
    (compute,) = openstack("endpoint", "list", "--service", "compute", "--interface", "public")
    assert (compute["Service Type"], compute["Region"]) == ("compute", "RegionOne")
    assert openstack("project", "show", "admin")["id"] == token["project_id"]


def test_flavors(openstack: Client) -> None:
    names = [flavor["Name"] for flavor in openstack("flavor", "list")]
    assert names == ["m1.nano", "m1.tiny", "m1.small", "m1.medium", "m1.large"]
    made = openstack("flavor", "create", "--ram", "256", "--vcpus", "2", "--disk", "3", "--id", "auto", "c2")
    assert (made["ram"], made["vcpus"], made["disk"]) == (256, 2, 3)
    assert openstack("flavor", "show", "c2")["id"] == made["id"]
    assert "already exists" in openstack.refused("flavor", "create", "--ram", "256", "c2")
    openstack.plain("flavor", "delete", "c2")
    assert "No Flavor found" in openstack.refused("flavor", "show", "c2")


def test_images(openstack: Client, image: str, tmp_path: Path) -> None:
    shown = openstack("image", "show", "tiny")
    assert (shown["id"], shown["status"], shown["disk_format"]) == (image, "active", "qcow2")
    assert shown["properties"]["os_distro"] == "busybox"
    assert [entry["Name"] for entry in openstack("image", "list")] == ["tiny"]
    saved = tmp_path / "saved.qcow2"
    openstack.plain("image", "save", "--file", str(saved), "tiny")
    assert saved.read_bytes() == GUEST_IMAGE.read_bytes()
    openstack.plain("image", "set", "--property", "release=1", "--name", "renamed", "tiny")
    assert openstack("image", "show", "renamed")["properties"]["release"] == "1"
    openstack.plain("image", "set", "--name", "tiny", "renamed")


def test_an_image_that_is_not_what_it_says_is_refused(openstack: Client, tmp_path: Path) -> None:
    fake = tmp_path / "fake.qcow2"
    fake.write_bytes(b"not a disk" * 1000)
    words = ("image", "create", "--disk-format", "qcow2", "--container-format", "bare", "--file", str(fake), "fake")
    assert "qcow2" in openstack.refused(*words)


def test_key_pairs(openstack: Client, tmp_path: Path) -> None:
    private = tmp_path / "key"
    made = openstack("keypair", "create", "--private-key", str(private), "me")
    assert made["name"] == "me"
    assert "PRIVATE KEY" in private.read_text()
    shown = openstack("keypair", "list")
    assert [(key["Name"], key["Fingerprint"]) for key in shown] == [("me", made["fingerprint"])]
    assert openstack.plain("keypair", "show", "--public-key", "me").startswith("ssh-")


def test_the_life_of_a_server(openstack: Client, image: str, tmp_path: Path, eventually: Callable[..., Any]) -> None:
    user_data = tmp_path / "user-data"
    user_data.write_text("words for the guest: 4711\n")
    made = openstack(
        *("server", "create", "--image", "tiny", "--flavor", "m1.nano", "--key-name", "me", "--wait"),
        *("--user-data", str(user_data), "--property", "role=web", "first"),
    )
    assert made["status"] == "ACTIVE"
    (listed,) = openstack("server", "list")
    assert (listed["Name"], listed["Status"], listed["Image"], listed["Flavor"]) == (
        "first",
        "ACTIVE",
        "tiny",
        "m1.nano",
    )
    shown = openstack("server", "show", "first")
    assert shown["OS-EXT-STS:power_state"] in (1, "Running")
    assert (shown["key_name"], shown["properties"]) == ("me", {"role": "web"})
    assert shown["addresses"] == listed["Networks"] != {}

    eventually(lambda: "4711" in openstack.plain("console", "log", "show", "first"), within_s=90)

    for kind, address in (("--novnc", "http://127.0.0.1:"), ("--serial", "ws://127.0.0.1:")):
        found = openstack("console", "url", "show", kind, "first")
        assert found["url"].startswith(address)
        assert f"/console/{found['protocol']}/{made['id']}?token=" in found["url"]
    assert "(protocol vnc, type novnc)" in openstack.refused("console", "url", "show", "--spice", "first")

    openstack.plain("server", "stop", "first")
    eventually(lambda: openstack("server", "show", "first")["status"] == "SHUTOFF", within_s=90)
    openstack.plain("server", "start", "first")
    eventually(lambda: openstack("server", "show", "first")["status"] == "ACTIVE", within_s=90)
    openstack.plain("server", "reboot", "--hard", "--wait", "first")
    openstack.plain("server", "pause", "first")
    eventually(lambda: openstack("server", "show", "first")["status"] == "PAUSED", within_s=90)
    openstack.plain("server", "unpause", "first")
    eventually(lambda: openstack("server", "show", "first")["status"] == "ACTIVE", within_s=90)
    openstack.plain("server", "lock", "--reason", "in use", "first")
    assert openstack("server", "show", "first")["locked_reason"] == "in use"
    openstack.plain("server", "unlock", "first")
    openstack.plain("server", "set", "--name", "renamed", "--property", "tier=gold", "--tag", "blue", "first")
    openstack.plain("server", "unset", "--property", "role", "renamed")
    shown = openstack("server", "show", "renamed")
    assert (shown["properties"], shown["tags"]) == ({"tier": "gold"}, ["blue"])

    events = openstack("server", "event", "list", "renamed")
    named = ["unlock", "lock", "unpause", "pause", "reboot", "start", "stop", "create"]
    assert [event["Action"] for event in events] == named
    steps = openstack("server", "event", "show", "renamed", events[-1]["Request ID"])["events"]
    assert {step["result"] for step in steps} == {"Success"}
    assert "create.start" in {step["event"] for step in steps}

    openstack.plain("server", "delete", "--wait", "renamed")
    assert openstack("server", "list") == []


def test_suspend_rescue_and_rebuild(openstack: Client, image: str, eventually: Callable[..., Any]) -> None:
    def becomes(status: str) -> None:
        eventually(lambda: openstack("server", "show", "second")["status"] == status, within_s=90)

    def booted(times: int) -> None:
        said = lambda: openstack.plain("console", "log", "show", "second")  # noqa: E731
        eventually(lambda: said().count("kilonova-guest: ready") == times, within_s=90)

    made = openstack("server", "create", "--image", "tiny", "--flavor", "m1.nano", "--wait", "second")
    booted(1)
    openstack.plain("server", "suspend", "second")
    becomes("SUSPENDED")
    assert "suspended" in openstack.refused("server", "stop", "second")
    openstack.plain("server", "resume", "second")
    becomes("ACTIVE")
    openstack.plain("server", "rescue", "--image", "tiny", "second")
    becomes("RESCUE")
    booted(2)  # before that nobody hears that it should shut down
    openstack.plain("server", "unrescue", "second")
    becomes("ACTIVE")
    rebuilt = ("server", "rebuild", "--image", "tiny", "--name", "third", "--property", "role=db", "--wait")
    openstack.plain(*rebuilt, "--description", "as new", "second")
    shown = openstack("server", "show", "third")
    assert (shown["status"], shown["properties"], shown["description"]) == ("ACTIVE", {"role": "db"}, "as new")
    assert (shown["id"], shown["addresses"]) == (made["id"], made["addresses"])
    events = [event["Action"] for event in openstack("server", "event", "list", "third")]
    assert events == ["rebuild", "unrescue", "rescue", "resume", "suspend", "create"]
    measured = openstack("server", "show", "--diagnostics", "third")
    assert (measured["state"], measured["num_disks"]) == ("running", 2)
    openstack.plain("server", "delete", "--wait", "third")


def test_images_backups_and_shelving(openstack: Client, image: str, eventually: Callable[..., Any]) -> None:
    def backups() -> list[str]:
        return [one["Name"] for one in openstack("image", "list", "--property", "image_type=backup")]

    def idle() -> bool:
        return openstack("server", "show", "model")["OS-EXT-STS:task_state"] is None

    openstack.plain("server", "create", "--image", "tiny", "--flavor", "m1.nano", "--wait", "model")
    made = openstack("server", "image", "create", "--name", "golden", "--property", "note=n", "--wait", "model")
    assert (made["name"], made["status"]) == ("golden", "active")
    assert (made["properties"]["image_type"], made["properties"]["note"]) == ("snapshot", "n")
    for name in ("old", "new"):
        eventually(idle, within_s=90)
        words = ("--name", name, "--type", "daily", "--rotate", "1", "--wait")
        openstack.plain("server", "backup", "create", *words, "model")
    eventually(lambda: backups() == ["new"], within_s=90)

    eventually(idle, within_s=90)
    openstack.plain("server", "stop", "model")
    eventually(lambda: openstack("server", "show", "model")["status"] == "SHUTOFF", within_s=90)
    openstack.plain("server", "shelve", "--offload", "--wait", "model")
    assert openstack("server", "show", "model")["status"] == "SHELVED_OFFLOADED"
    assert "model-shelved" in [one["Name"] for one in openstack("image", "list")]
    openstack.plain("server", "unshelve", "--wait", "model")
    assert openstack("server", "show", "model")["status"] == "ACTIVE"
    openstack.plain("server", "delete", "--wait", "model")
    openstack.plain("image", "delete", "golden", "new")
    assert [one["Name"] for one in openstack("image", "list")] == ["tiny"]


def test_a_server_is_resized(openstack: Client, image: str, eventually: Callable[..., Any]) -> None:
    openstack.plain("server", "create", "--image", "tiny", "--flavor", "m1.nano", "--wait", "sized")
    openstack.plain("flavor", "create", "--ram", "192", "--vcpus", "2", "--disk", "2", "--id", "192", "larger")
    for end, flavor in (("revert", "m1.nano"), ("confirm", "larger")):
        openstack.plain("server", "resize", "--flavor", "larger", "--wait", "sized")
        shown = openstack("server", "show", "sized")
        assert (shown["status"], shown["flavor"]["original_name"]) == ("VERIFY_RESIZE", "larger")
        openstack.plain("server", "resize", end, "sized")
        eventually(lambda: openstack("server", "show", "sized")["status"] == "ACTIVE", within_s=60)
        assert openstack("server", "show", "sized")["flavor"]["original_name"] == flavor
    listed = openstack("server", "migration", "list")
    assert [(one["Status"], one["Type"], one["New Flavor"]) for one in listed] == [
        ("confirmed", "resize", 192),
        ("reverted", "resize", 192),
    ]
    assert "resize disk down" in openstack.refused("server", "resize", "--flavor", "m1.nano", "sized")
    openstack.plain("flavor", "create", "--ram", "999999999", "--vcpus", "2", "--disk", "2", "huge")
    assert "RamFilter refused" in openstack.refused("server", "resize", "--flavor", "huge", "sized")
    openstack.plain("server", "delete", "--wait", "sized")
    openstack.plain("flavor", "delete", "larger", "huge")


def test_networks_and_the_ports_of_a_server(openstack: Client, image: str) -> None:
    (network,) = openstack("network", "list")
    assert network["Name"] == "kilonova"
    shown = openstack("network", "show", "kilonova")
    assert (shown["id"], shown["subnets"]) == (network["ID"], network["Subnets"])
    (subnet,) = openstack("subnet", "list")
    assert openstack("subnet", "show", subnet["ID"])["cidr"] == subnet["Subnet"]
    assert [group["Name"] for group in openstack("security", "group", "list")] == ["default"]
    new = ("server", "create", "--image", "tiny", "--flavor", "m1.nano", "--wait")
    openstack.plain(*new, "--network", "kilonova", "--security-group", "default", "named")
    openstack.plain(*new, "--nic", f"net-id={network['ID']}", "by-id")
    openstack.plain(*new, "--nic", "none", "without")
    openstack.plain(*new, "--nic", "auto", "auto")
    for name, ports in (("named", 1), ("by-id", 1), ("without", 0), ("auto", 1)):
        assert len(openstack("port", "list", "--server", name)) == ports
    (port,) = openstack("port", "list", "--server", "named")
    fixed, floating = openstack("server", "show", "named")["addresses"]["kilonova"]
    assert port["Fixed IP Addresses"][0]["ip_address"] == fixed
    assert floating.startswith("127.")
    assert openstack("port", "show", port["ID"])["device_id"] == openstack("server", "show", "named")["id"]
    assert "No Network found for nosuch" in openstack.refused(*new, "--network", "nosuch", "x")
    openstack.refused(*new, "--security-group", "web", "x")
    for name in ("named", "by-id", "without", "auto"):
        openstack.plain("server", "delete", "--wait", name)


BY_SDK = """
import openstack
cloud = openstack.connect(cloud="kilonova")
server = cloud.create_server("by-sdk", image="tiny", flavor="m1.nano", network="kilonova", wait=True, timeout=90)
addresses = [address["addr"] for address in server.addresses["kilonova"]]
assert server.status == "ACTIVE" and server.interface_ip in addresses, (server.status, server.interface_ip)
assert [port.device_id for port in cloud.list_ports({"device_id": server.id})] == [server.id]
assert cloud.delete_server("by-sdk", wait=True, delete_ips=True)
print("done")
"""


def test_the_sdk_makes_and_awaits_a_server(openstack: Client, image: str) -> None:
    argv = [str(CLIENT / "bin/python"), "-c", BY_SDK]
    done = subprocess.run(argv, env=openstack.environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.stdout.strip() == "done", done.stderr


def test_what_cannot_be_is_said_by_name(openstack: Client, image: str) -> None:
    assert "No Image found for nosuch" in openstack.refused(
        "server", "create", "--image", "nosuch", "--flavor", "m1.nano", "x"
    )
    assert "No Flavor found for nosuch" in openstack.refused(
        "server", "create", "--image", "tiny", "--flavor", "nosuch", "x"
    )
    openstack.plain("server", "create", "--image", "tiny", "--flavor", "m1.large", "too-big")
    openstack.plain("server", "delete", "--wait", "too-big")
    openstack.plain("flavor", "create", "--ram", "999999999", "--vcpus", "1", "--disk", "1", "huge")
    refused = openstack.refused("server", "create", "--image", "tiny", "--flavor", "huge", "--wait", "too-big")
    assert "Error creating server" in refused
    shown = openstack("server", "show", "too-big")
    assert shown["status"] == "ERROR"
    assert "RamFilter refused" in shown["fault"]["message"]
    openstack.plain("server", "delete", "--wait", "too-big")
    openstack.plain("flavor", "delete", "huge")


def test_what_an_operator_asks(openstack: Client, box: Any) -> None:
    (hypervisor,) = openstack("hypervisor", "list")
    assert (hypervisor["Hypervisor Type"], hypervisor["State"]) == ("QEMU", "up")
    shown = openstack("hypervisor", "show", hypervisor["Hypervisor Hostname"])
    assert shown["state"] == "up"
    (service,) = openstack("compute", "service", "list", "--service", "nova-compute")
    assert (service["Binary"], service["Status"], service["State"]) == ("nova-compute", "enabled", "up")
    host = service["Host"]
    service_set = ("compute", "service", "set")
    openstack.plain(*service_set, "--disable", "--disable-reason", "spring cleaning", host, "nova-compute")
    (disabled,) = openstack("compute", "service", "list", "--service", "nova-compute", "--long")
    assert (disabled["Status"], disabled["Disabled Reason"]) == ("disabled", "spring cleaning")
    openstack.plain(*service_set, "--enable", host, "nova-compute")
    zones = [zone["Zone Name"] for zone in openstack("availability", "zone", "list")]
    assert sorted(zones) == ["internal", "nova"]


def test_users_projects_and_roles(openstack: Client) -> None:
    web = openstack("project", "create", "--description", "pages", "web")
    ann = openstack("user", "create", "--project", "web", "--password", "secret", "--email", "a@example.org", "ann")
    assert openstack("user", "show", "ann")["email"] == "a@example.org"
    assert (ann["name"], ann["default_project_id"], ann["enabled"]) == ("ann", web["id"], True)
    openstack.plain("role", "add", "--user", "ann", "--project", "web", "member")
    (given,) = openstack("role", "assignment", "list", "--user", "ann", "--names")
    assert (given["Role"], given["User"], given["Project"]) == ("member", "ann@Default", "web@Default")
    assert [user["Name"] for user in openstack("user", "list", "--project", "web")] == ["ann"]
    as_ann = ("--os-username", "ann", "--os-project-name", "web", "--os-password")
    assert openstack(*as_ann, "secret", "server", "list") == []
    assert "403" in openstack.refused(*as_ann, "secret", "user", "list")
    made = openstack(*as_ann, "secret", "application", "credential", "create", "--role", "reader", "robot")
    by_secret = (
        *("--os-auth-type", "v3applicationcredential", "--os-application-credential-id", made["ID"]),
        *(f"--os-application-credential-secret={made['Secret']}",),
    )
    assert "m1.nano" in [flavor["Name"] for flavor in openstack.without_user(*by_secret, "flavor", "list")]
    openstack.plain(*as_ann, "secret", "user", "password", "set", "--original-password", "secret", "--password", "new")
    assert "HTTP 401" in openstack.refused(*as_ann, "secret", "token", "issue")
    token = openstack(*as_ann, "new", "token", "issue")["id"]
    openstack.plain("token", "revoke", token)
    openstack.plain("user", "set", "--disable", "ann")
    assert "HTTP 401" in openstack.refused(*as_ann, "new", "token", "issue")
    assert "leave no administrator" in openstack.refused("user", "delete", "admin")
    openstack.plain("role", "remove", "--user", "ann", "--project", "web", "member")
    openstack.plain("user", "delete", "ann")
    openstack.plain("project", "delete", "web")
    assert [project["Name"] for project in openstack("project", "list")] == ["admin"]


def test_a_wrong_password_is_said_so(openstack: Client) -> None:
    assert "HTTP 401" in openstack.refused("--os-password", "wrong", "token", "issue")
