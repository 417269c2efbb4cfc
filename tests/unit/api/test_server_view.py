# SPDX-License-Identifier: Apache-2.0
"""A server at every microversion: no member before its time, none missing after it."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic_core import to_json

from kilonova.api.compute.servers.create import hostname_of
from kilonova.api.compute.servers.view import BRIEF, DETAIL, SHORT, SINGLE, Viewer, host_id
from kilonova.api.http.call import Links
from kilonova.api.http.microversion import MAX, MIN, Microversion, v2
from kilonova.db.readers.servers import HostStatus
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.instance import Address, Fault
from kilonova.objects.states import PowerState, TaskState, VmState
from tests.make import NOW, instance

brief, detail, single, short = BRIEF.show, DETAIL.show, SINGLE.show, SHORT.show

LINKS = Links("http://box:8774", "/compute/v2.1")
HOST = HostName("h1")

BASE = frozenset(
    {"id", "name", "status", "tenant_id", "user_id", "metadata", "hostId", "image", "flavor", "created", "updated"}
    | {"addresses", "links", "accessIPv4", "accessIPv6", "OS-DCF:diskConfig"}
)
EXTENDED = frozenset(
    {"key_name", "config_drive", "security_groups", "os-extended-volumes:volumes_attached"}
    | {"OS-EXT-AZ:availability_zone", "OS-SRV-USG:launched_at", "OS-SRV-USG:terminated_at"}
    | {"OS-EXT-STS:task_state", "OS-EXT-STS:vm_state", "OS-EXT-STS:power_state"}
)
ADMIN = frozenset(f"OS-EXT-SRV-ATTR:{name}" for name in ("host", "hypervisor_hostname", "instance_name"))
ADMIN_3 = frozenset(
    f"OS-EXT-SRV-ATTR:{name}"
    for name in (
        "reservation_id",
        "launch_index",
        "hostname",
        "kernel_id",
        "ramdisk_id",
        "root_device_name",
        "user_data",
    )
)
SINCE: dict[str, int] = {
    "locked": 9,
    "description": 19,
    "tags": 26,
    "trusted_image_certificates": 63,
    "server_groups": 71,
    "locked_reason": 73,
}


def viewer(version: Microversion = MAX, *, admin: bool = False, **hosts: HostStatus) -> Viewer:
    return Viewer(LINKS, version, admin, {HostName(name): status for name, status in hosts.items()})


def active(**changes: Any) -> Any:
    values = {"vm_state": VmState.ACTIVE, "task_state": None, "power_state": PowerState.RUNNING, "host": HOST}
    return instance(**{**values, **changes})


def expected(minor: int, *, admin: bool, whole: bool) -> set[str]:
    names = set(BASE) | {name for name, since in SINCE.items() if minor >= since} | {"progress"}
    if not whole:
        return names
    names |= EXTENDED
    if minor >= 90:
        names |= {"OS-EXT-SRV-ATTR:hostname"}
    if admin:
        names |= ADMIN
        if minor >= 3:
            names |= ADMIN_3
        if minor >= 16:
            names |= {"host_status"}
    return names


@pytest.mark.parametrize("minor", range(MIN.minor, MAX.minor + 1))
@pytest.mark.parametrize("admin", [False, True])
def test_the_members_of_each_microversion(minor: int, admin: bool) -> None:
    eyes = viewer(v2(minor), admin=admin)
    whole = expected(minor, admin=admin, whole=True)
    assert single(active(), eyes).keys() == whole
    assert detail(active(), eyes).keys() == whole - {"server_groups"}
    assert short(active(), eyes).keys() == expected(minor, admin=admin, whole=False)
    assert brief(active(), eyes).keys() == {"id", "name", "links"}


@pytest.mark.parametrize("minor", [1, 46, 47, 79])
def test_the_flavor_changes_its_form(minor: int) -> None:
    flavor = single(active(), viewer(v2(minor)))["flavor"]
    if minor < 47:
        assert flavor == {"id": "1", "links": [{"rel": "bookmark", "href": "http://box:8774/compute/flavors/1"}]}
    else:
        assert flavor == {
            "vcpus": 1, "ram": 128, "disk": 1, "ephemeral": 0, "swap": 0, "original_name": "m1.nano", "extra_specs": {}
        }  # fmt: skip


def test_values_have_the_forms_that_clients_parse() -> None:
    address = Address("net", "10.0.0.5", "fa:16:3e:00:00:01", 24, "10.0.0.1")
    record = active(addresses=(address,), launched_at=NOW, config_drive=True, availability_zone="nova")
    server = single(record, viewer())
    assert server["created"] == "2026-03-04T05:06:07Z"
    assert server["OS-SRV-USG:launched_at"] == "2026-03-04T05:06:07.000000"
    assert server["OS-SRV-USG:terminated_at"] is None
    assert server["config_drive"] == "True"
    assert server["addresses"] == {
        "net": [
            {
                "version": 4,
                "addr": "10.0.0.5",
                "OS-EXT-IPS:type": "fixed",
                "OS-EXT-IPS-MAC:mac_addr": "fa:16:3e:00:00:01",
            }
        ]
    }
    assert server["links"][0] == {"rel": "self", "href": f"http://box:8774/compute/v2.1/servers/{record.id}"}
    assert server["links"][1] == {"rel": "bookmark", "href": f"http://box:8774/compute/servers/{record.id}"}
    assert server["image"]["links"] == [{"rel": "bookmark", "href": "http://box:8774/compute/images/image-1"}]
    assert short(record, viewer())["addresses"] == {"net": [{"version": 4, "addr": "10.0.0.5"}]}
    assert to_json(server)


@pytest.mark.parametrize(
    ("vm_state", "task_state", "status", "progress"),
    [
        (VmState.BUILDING, TaskState.SPAWNING, "BUILD", True),
        (VmState.ACTIVE, None, "ACTIVE", True),
        (VmState.ACTIVE, TaskState.REBOOTING, "REBOOT", False),
        (VmState.ACTIVE, TaskState.REBOOTING_HARD, "HARD_REBOOT", False),
        (VmState.STOPPED, None, "SHUTOFF", False),
        (VmState.PAUSED, None, "PAUSED", False),
        (VmState.ERROR, None, "ERROR", False),
    ],
)
def test_status_and_progress(vm_state: VmState, task_state: TaskState | None, status: str, progress: bool) -> None:
    server = single(active(vm_state=vm_state, task_state=task_state), viewer())
    assert (server["status"], "progress" in server) == (status, progress)
    assert server["OS-EXT-STS:vm_state"] == vm_state
    assert server["OS-EXT-STS:task_state"] == task_state
    assert server["OS-EXT-STS:power_state"] == 1


def test_a_fault_is_shown_in_error_only() -> None:
    fault = Fault(500, "The image was deleted.", NOW)
    shown = single(active(vm_state=VmState.ERROR, fault=fault), viewer())["fault"]
    assert shown == {"code": 500, "created": "2026-03-04T05:06:07Z", "message": "The image was deleted."}
    assert "fault" not in single(active(fault=fault), viewer())


def test_a_server_without_a_host_or_network() -> None:
    server = single(instance(wants_network=False), viewer(admin=True))
    assert (server["hostId"], server["host_status"], server["OS-EXT-SRV-ATTR:host"]) == ("", "", None)
    assert (server["OS-EXT-AZ:availability_zone"], server["addresses"]) == ("", {})
    assert "security_groups" not in server


def test_the_host_is_known_by_another_name_in_each_project() -> None:
    shown = single(active(), viewer())["hostId"]
    assert shown == host_id("p1", HOST) != host_id("p2", HOST)
    assert len(shown) == 56
    assert HOST not in str(single(active(), viewer()))


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (HostStatus(up=True, disabled=False, forced_down=False), "UP"),
        (HostStatus(up=True, disabled=True, forced_down=False), "MAINTENANCE"),
        (HostStatus(up=False, disabled=False, forced_down=False), "UNKNOWN"),
        (HostStatus(up=True, disabled=True, forced_down=True), "DOWN"),
    ],
)
def test_the_host_status(status: HostStatus, word: str) -> None:
    assert single(active(), viewer(admin=True, h1=status))["host_status"] == word
    assert single(active(), viewer(admin=True))["host_status"] == "UNKNOWN"


@pytest.mark.parametrize(
    ("name", "hostname"),
    [
        ("web", "web"),
        ("Web Server_1.example", "web-server-1-example"),
        ("-a-", "a"),
        ("äöü", "server-the-id"),
        ("x" * 100, "x" * 63),
        ("日本 web", "web"),
    ],
)
def test_host_names_are_made_of_names(name: str, hostname: str) -> None:
    assert hostname_of(name, InstanceId("the-id")) == hostname


def test_what_was_written_down_is_shown() -> None:
    kept = {"access_ip_v4": "192.0.2.1", "access_ip_v6": "2001:db8::1", "disk_config": "AUTO"}
    for shown in (single(active(**kept), viewer()), short(active(**kept), viewer())):
        assert (shown["accessIPv4"], shown["accessIPv6"]) == ("192.0.2.1", "2001:db8::1")
        assert shown["OS-DCF:diskConfig"] == "AUTO"
    grouped = active(server_group_id="g")
    assert single(grouped, viewer())["server_groups"] == short(grouped, viewer())["server_groups"] == ["g"]


def test_updated_is_the_records_own() -> None:
    assert single(active(updated_at=NOW + timedelta(seconds=1)), viewer())["updated"] == "2026-03-04T05:06:08Z"
