# SPDX-License-Identifier: Apache-2.0
"""What an operator types: flavors for some, aggregates and zones, services, images that are taken out of use."""

from collections.abc import Generator

import pytest

from tests.clients.conftest import Client
from tests.live.box import GUEST_IMAGE

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def image(openstack: Client) -> Generator[str]:
    openstack(
        *("image", "create", "--disk-format", "qcow2", "--container-format", "bare", "--tag", "one", "--tag", "two"),
        *("--file", str(GUEST_IMAGE), "tiny-too"),
    )
    yield "tiny-too"
    openstack.plain("image", "delete", "tiny-too")


def test_flavors_and_what_they_ask_for(openstack: Client, image: str) -> None:
    size = ("--ram", "128", "--vcpus", "1", "--disk", "1")
    made = openstack(
        *("flavor", "create", *size, "--private", "--project", "admin", "--property", "hw:cpu_policy=dedicated"),
        *("--description", "for tests", "own"),
    )
    assert made["description"] == "for tests"
    openstack.plain("flavor", "set", "--description", "for a few", "--property", "tier=gold", "own")
    shown = openstack("flavor", "show", "own")
    assert shown["properties"] == {"hw:cpu_policy": "dedicated", "tier": "gold"}
    assert shown["description"] == "for a few"
    assert shown["access_project_ids"] == [openstack("project", "show", "admin")["id"]]
    new = ("server", "create", "--image", image, "--flavor", "own", "--wait")
    assert "hw:cpu_policy=dedicated" in openstack.refused(*new, "x")
    openstack.plain("flavor", "unset", "--property", "hw:cpu_policy", "own")
    openstack.plain(*new, "made-of-own")
    openstack.plain("server", "delete", "--wait", "made-of-own")
    openstack.plain("flavor", "unset", "--project", "admin", "own")
    assert openstack("flavor", "show", "own")["access_project_ids"] == []
    openstack.plain("flavor", "delete", "own")


def test_aggregates_and_zones(openstack: Client, image: str) -> None:
    (service,) = openstack("compute", "service", "list", "--service", "nova-compute")
    host = service["Host"]
    made = openstack("aggregate", "create", "--zone", "cellar", "--property", "disk=ssd", "rack")
    assert (made["name"], made["availability_zone"]) == ("rack", "cellar")
    openstack.plain("aggregate", "add", "host", "rack", host)
    shown = openstack("aggregate", "show", "rack")
    assert (shown["hosts"], shown["properties"]) == ([host], {"disk": "ssd"})
    assert openstack("compute", "service", "list")[0]["Zone"] == "cellar"
    zones = [zone["Zone Name"] for zone in openstack("availability", "zone", "list")]
    assert sorted(zones) == ["cellar", "internal"]  # each once
    new = ("server", "create", "--image", image, "--flavor", "m1.nano", "--wait")
    openstack.plain(*new, "--availability-zone", "cellar", "below")
    assert openstack("server", "show", "below")["OS-EXT-AZ:availability_zone"] == "cellar"
    assert "contain instances" in openstack.refused("aggregate", "set", "--zone", "attic", "rack")
    openstack.plain("server", "delete", "--wait", "below")
    openstack.plain("aggregate", "set", "--zone", "attic", "--property", "rack=7", "rack")
    openstack.plain("aggregate", "unset", "--property", "disk", "rack")
    (listed,) = openstack("aggregate", "list", "--long")
    assert (listed["Name"], listed["Availability Zone"], listed["Properties"]) == ("rack", "attic", {"rack": "7"})
    assert "not empty" in openstack.refused("aggregate", "delete", "rack")
    assert openstack("hypervisor", "show", openstack("hypervisor", "list")[0]["Hypervisor Hostname"])["uptime"]
    openstack.plain("aggregate", "remove", "host", "rack", host)
    openstack.plain("aggregate", "delete", "rack")
    assert openstack("compute", "service", "list")[0]["Zone"] == "nova"
    assert "is up" in openstack.refused("compute", "service", "delete", str(service["ID"]))


def test_an_image_is_taken_out_of_use_and_back(openstack: Client, image: str) -> None:
    openstack.plain("image", "unset", "--tag", "one", image)
    assert openstack("image", "show", image)["tags"] == ["two"]
    openstack.plain("image", "set", "--deactivate", image)
    assert openstack("image", "show", image)["status"] == "deactivated"
    assert "not active" in openstack.refused("server", "create", "--image", image, "--flavor", "m1.nano", "x")
    openstack.plain("image", "set", "--activate", image)
    assert openstack("image", "list", "--tag", "two")[0]["Name"] == image
