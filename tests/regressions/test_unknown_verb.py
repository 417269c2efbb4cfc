# SPDX-License-Identifier: Apache-2.0
"""A verb, or a value, that a host's code does not know made all of the host's work unreadable."""

from pathlib import Path

from structlog.testing import capture_logs

from kilonova.db.readers import actions as read_actions
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import ActionState
from tests.simulation.test_lost_and_doubled import Story, settled
from tests.simulation.test_outages import has_status, in_service
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated


def of_a_newer_conductor(world: World, known: bytes, newer: bytes) -> None:
    """The conductor's replies to hosts say `newer` where this version's say `known`."""
    (served,) = (one for one in world.hub.subscriptions if one.pattern == "conductor.host.*")
    answer = served.handler

    async def newer_answer(subject: str, payload: bytes) -> bytes:
        return (await answer(subject, payload)).replace(known, newer)

    served.handler = newer_answer


async def act(world: World, server_id: str, verb: str) -> None:
    reply = await world.http.post(f"/compute/v2.1/servers/{server_id}/action", json={verb: None})
    assert reply.status_code == 202, reply.text


def test_an_action_that_a_host_cannot_read_fails_with_the_reason_and_holds_up_no_other(tmp_path: Path) -> None:
    async def main() -> None:
        async with simulated(3, tmp_path, hosts=("a",), loss=0, doubling=0) as world:
            await in_service(world, "a", True)
            told = Story(world, 3)
            image_id = await told.image()
            for n in range(3):
                await told.create(f"s{n}", image_id)
            await world.until(lambda: settled(world), within_s=300)
            odd, other, doomed = told.expected
            of_a_newer_conductor(world, b'"verb":"pause"', b'"verb":"teleport"')
            with capture_logs() as said:
                await act(world, odd, "pause")
                await world.clock.sleep(1)
                await act(world, other, "os-stop")
                await world.until(lambda: has_status(world, other, "SHUTOFF"), within_s=20)
                await world.until(lambda: settled(world), within_s=20)
            action = (await world.db.read(read_actions.of_instance, InstanceId(odd)))[0]
            assert action.state is ActionState.FAILED
            assert "cannot carry out the request (teleport: verb: this version does not have teleport" in (
                action.message or ""
            )
            assert await has_status(world, odd, "ACTIVE")
            # A delete that cannot be read, by an instance's value for a change, waits for a host that can.
            of_a_newer_conductor(world, b'"name":"s2"', b'"name":2')
            with capture_logs() as said_later:
                await world.http.delete(f"/compute/v2.1/servers/{doomed}")
                await act(world, other, "os-start")
                await world.until(lambda: has_status(world, other, "ACTIVE"), within_s=60)
                await world.clock.sleep(120)
            (waits,) = await world.db.read(read_actions.all_open)
            assert (waits.verb, waits.instance_id) == ("delete", doomed)
            for lines in (said, said_later):
                assert len([one for one in lines if one["event"] == "an action cannot be read"]) == 1

    run_virtually(main())
