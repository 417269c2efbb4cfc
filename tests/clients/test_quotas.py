# SPDX-License-Identifier: Apache-2.0
"""Quotas, usage and server groups with `openstack`."""

from collections.abc import Generator
from typing import Any

import pytest

from tests.clients.conftest import Client
from tests.live.box import GUEST_IMAGE

pytestmark = pytest.mark.live

NEW = ("server", "create", "--image", "small", "--flavor", "m1.nano", "--nic", "none")


@pytest.fixture(scope="module")
def image(openstack: Client) -> Generator[str]:
    words = ("--disk-format", "qcow2", "--container-format", "bare", "--file", str(GUEST_IMAGE), "small")
    yield str(openstack("image", "create", *words)["id"])
    openstack.plain("image", "delete", "small")


def limits(openstack: Client, *words: str) -> dict[str, Any]:
    return {row["Resource"]: row for row in openstack("quota", "show", *words)}


def test_quotas_are_shown_set_and_kept(openstack: Client, image: str) -> None:
    shown = limits(openstack)
    assert (shown["instances"]["Limit"], shown["key-pairs"]["Limit"], shown["ports"]["Limit"]) == (-1, 100, -1)
    assert limits(openstack, "--default")["instances"]["Limit"] == 10
    openstack.plain(*NEW, "--wait", "one")
    openstack.plain("quota", "set", "--instances", "1", "--cores", "4", "admin")
    detail = limits(openstack, "--usage", "admin")
    used = detail["instances"]
    assert (used["Limit"], used["In Use"], used["Reserved"], detail["cores"]["Limit"]) == (1, 1, 0, 4)
    absolute = {row["Name"]: row["Value"] for row in openstack("limits", "show", "--absolute")}
    assert (absolute["instances"], absolute["instances_used"]) == (1, 1)
    said = openstack.refused(*NEW, "two")
    assert "Quota exceeded for instances: Requested 1, but already used 1 of 1 instances" in said
    assert "403" in said
    assert "must be greater than or equal to" in openstack.refused("quota", "set", "--instances", "0", "admin")
    openstack.plain("quota", "set", "--force", "--instances", "0", "admin")
    (row,) = openstack("quota", "list", "--compute")
    assert (row["Instances"], row["Cores"]) == (0, 4)
    openstack.plain("quota", "delete", "admin")
    assert limits(openstack)["instances"]["Limit"] == 10
    openstack.plain("quota", "set", "--instances", "-1", "--cores", "-1", "--ram", "-1", "admin")


def test_usage_tells_of_servers(openstack: Client, image: str) -> None:
    openstack.plain("server", "delete", "--wait", "one")
    (row,) = openstack("usage", "list")
    assert row["Project"] == openstack("project", "show", "admin")["id"]
    one = next(server for server in row["Servers"] if server["name"] == "one")
    assert (one["state"], one["flavor"], one["memory_mb"]) == ("terminated", "m1.nano", 128)
    assert one["hours"] > 0
    assert row["CPU Hours"] >= one["hours"]
    assert openstack("usage", "show", "--project", "admin")["Servers"] == row["Servers"]


def test_servers_of_a_group(openstack: Client, image: str) -> None:
    made = openstack(
        "server", "group", "create", "--policy", "anti-affinity", "--rule", "max_server_per_host=1", "apart"
    )
    assert (made["policy"], made["members"], made["rules"]) == ("anti-affinity", [], {"max_server_per_host": 1})
    openstack.plain(*NEW, "--wait", "--server-group", "apart", "first")
    openstack.refused(*NEW, "--wait", "--server-group", "apart", "second")
    fault = openstack("server", "show", "second")["fault"]["message"]
    assert "ServerGroupAntiAffinityFilter refused" in fault
    assert "has 1 of the group, at most 1 may be" in fault
    (listed,) = openstack("server", "group", "list", "--long")
    assert (listed["Name"], listed["Policy"], len(listed["Members"])) == ("apart", "anti-affinity", 2)
    openstack.plain("server", "group", "delete", "apart")
    assert openstack("server", "group", "list", "--all-projects") == []
    assert openstack("server", "show", "first")["status"] == "ACTIVE"
    openstack.plain("server", "delete", "--wait", "first", "second")
