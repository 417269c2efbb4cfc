# SPDX-License-Identifier: Apache-2.0
"""The law of tests/service/fuzz.py is one that can be broken; and bad input whose answer is a matter of state."""

import asyncio
import base64
import json
from collections.abc import Generator

import pytest
import structlog

from kilonova.api.app import create_app
from kilonova.api.compute.servers.models import USER_DATA_CHARACTERS
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route, Service
from kilonova.base.errors import InvalidInput
from kilonova.objects.ids import FlavorId, InstanceId
from kilonova.rpcapi.api_to_conductor import DELETE_FLAVOR, DeleteFlavor
from kilonova.virt.fake.driver import FakeDriver
from tests.service.fuzz import Asked, Watched, watched

log = structlog.get_logger(__name__)


async def breaks(call: Call) -> Reply:
    """Nobody foresaw this."""
    raise ZeroDivisionError


async def changes_and_refuses(call: Call) -> Reply:
    """What was refused was done."""
    await call.deps.rpc.call(DELETE_FLAVOR, DeleteFlavor(FlavorId("2")))
    raise InvalidInput("No.", path="x")


async def complains(call: Call) -> Reply:
    """All is well, it says, and something else in the log."""
    log.error("something broke")
    return Reply(b"{}")


async def has_a_fault_of_its_own(call: Call) -> Reply:
    """Not one that a client knows."""
    return Reply(b'{"oops":"wrong"}', status=400)


LAWLESS = {
    "breaks": (breaks, "was answered 500"),
    "changes": (changes_and_refuses, "changed something"),
    "complains": (complains, "something broke"),
    "own": (has_a_fault_of_its_own, "was answered 400"),
}


@pytest.fixture(scope="module")
def cloud() -> Generator[Watched]:
    with watched() as made:
        yield made


@pytest.mark.parametrize("name", LAWLESS)
def test_what_breaks_the_law_is_found(cloud: Watched, name: str) -> None:
    handler, said = LAWLESS[name]
    cloud.settle()
    box, app = cloud.api.cloud.box, cloud.api.cloud.box.app
    rows = (Route("GET", "/lawless", handler, "lawless", DefaultPolicy.ANYBODY),)
    object.__setattr__(box, "app", create_app(app.deps, (Service("", ()), Service("/x", rows, open=True))))
    try:
        with pytest.raises(AssertionError, match=said):
            cloud.ask(Asked("GET", b"/x/lawless"))
    finally:
        object.__setattr__(box, "app", app)


def create(cloud: Watched, **fields: object) -> tuple[int, str]:
    server = {"name": "s", "flavorRef": "1", "imageRef": cloud.ids["image_id"], "networks": "none", **fields}
    answer = cloud.ask(Asked("POST", b"/compute/v2.1/servers", json.dumps({"server": server}).encode()))
    return answer.status, "" if answer.status < 400 else answer.message


@pytest.mark.parametrize(
    ("path", "most", "more"),
    [
        ("server.name", {"name": "n" * 255}, {"name": "n" * 256}),
        ("server.description", {"description": "d" * 255}, {"description": "d" * 256}),
        ("server.metadata", {"metadata": {"k" * 255: "v" * 255}}, {"metadata": {"k": "v" * 256}}),
        ("server.metadata", {"metadata": {}}, {"metadata": {"k" * 256: "v"}}),
        ("server.tags", {"tags": ["t" * 60]}, {"tags": ["t" * 61]}),
        ("server.tags", {"tags": [str(n) for n in range(50)]}, {"tags": [str(n) for n in range(51)]}),
        (
            "server.user_data",
            {"user_data": base64.b64encode(b"u" * 49149).decode()},
            {"user_data": base64.b64encode(b"u" * 49152).decode()},
        ),
        ("server.user_data", {"user_data": ""}, {"user_data": "no base64!"}),
    ],
)
def test_the_longest_is_taken_and_one_more_is_not(
    cloud: Watched, path: str, most: dict[str, object], more: dict[str, object]
) -> None:
    cloud.settle()
    assert len(str(more.get("user_data", ""))) <= USER_DATA_CHARACTERS + 1
    assert create(cloud, **most)[0] == 202
    status, message = create(cloud, **more)
    assert (status, path in message) == (400, True), message


def test_a_server_is_deleted_twice_and_then_is_gone(cloud: Watched) -> None:
    """While it goes the second delete is a 204, too, and records nothing; then all that asks for it is a 404."""
    cloud.settle()
    path = f"/compute/v2.1/servers/{cloud.ids['server_id']}".encode()
    of_it = "SELECT count(*) FROM actions WHERE instance_id = ? AND verb = 'delete'"
    ids = (cloud.ids["server_id"],)
    driver = cloud.api.cloud.box.manager.driver
    assert isinstance(driver, FakeDriver)

    async def twice() -> list[int]:
        goes_on, ask = asyncio.Event(), cloud.api.cloud.http.delete

        async def wait(_call: str, _instance_id: InstanceId | None) -> None:
            await goes_on.wait()

        driver.hypervisor.before_call = wait
        found = [(await ask(path.decode(), headers=cloud.api.cloud.headers)).status_code for _ in range(2)]
        driver.hypervisor.before_call = None
        goes_on.set()
        return found

    assert cloud.runner.run(twice()) == [204, 204]
    assert cloud.database.execute(of_it, ids).fetchone() == (1,)
    cloud.settle()
    for method, below, body in (
        ("DELETE", b"", b""), ("GET", b"", b""), ("PUT", b"", b'{"server": {"name": "x"}}'),
        ("POST", b"/action", b'{"os-stop": null}'), ("POST", b"/action", b'{"unlock": null}'),
        ("POST", b"/metadata", b'{"metadata": {"a": "b"}}'), ("PUT", b"/tags/x", b""),
        ("POST", b"/remote-consoles", b'{"remote_console": {"protocol": "serial", "type": "serial"}}'),
    ):  # fmt: skip
        assert cloud.ask(Asked(method, path + below, body)).status == 404, (method, below)
