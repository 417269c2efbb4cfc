# SPDX-License-Identifier: Apache-2.0
"""A hypervisor is lost, and with it the conductor: what is told in the end is the level, and told to the right one."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from structlog.testing import capture_logs

from kilonova.conductor.hosts import register
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.notifications import newest
from kilonova.objects.ids import HostName
from kilonova.objects.service import Service
from kilonova.rpc.memory import Fate
from kilonova.rpcapi.host_to_conductor import SetHostEnabled
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated

ERROR = "compute.libvirt.error"


def play(tmp_path: Path, test: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        async with simulated(7, tmp_path, hosts=("a", "b"), loss=0, doubling=0.2) as world:
            await in_service(world, "a", True)
            await in_service(world, "b", True)
            await test(world)

    run_virtually(main())


async def service(world: World, host: str) -> Service:
    found = await world.db.read(read_hosts.list_services, host=host, binary=read_hosts.COMPUTE)
    return found[0]


async def in_service(world: World, host: str, enabled: bool) -> None:
    async def it_is() -> bool:
        found = await world.db.read(read_hosts.list_services, host=host, binary=read_hosts.COMPUTE)
        return bool(found) and found[0].disabled is not enabled

    await world.until(it_is, within_s=60)


def cut(world: World) -> None:
    """No message arrives."""
    world.hub.fate = lambda _subject: Fate(())


def mend(world: World) -> None:
    world.hub.fate = world.network.fate


def lose(world: World, host: str) -> None:
    """As the libvirt driver tells it."""
    machine = world.machines[host]
    machine.go_away("libvirt is not available: gone")
    payload = {"ip": "192.0.2.1", "method": "_connect", "reason": "gone"}
    machine.drivers[0].virtapi.notify_error(ERROR, payload)


async def create(world: World, name: str, image_id: str) -> str:
    server = {"name": name, "imageRef": image_id, "flavorRef": "1", "networks": "auto"}
    reply = await world.http.post("/compute/v2.1/servers", json={"server": server})
    assert reply.status_code == 202, reply.text
    return reply.json()["server"]["id"]


async def image(world: World) -> str:
    body = {"name": "raw", "disk_format": "raw", "container_format": "bare"}
    image_id = (await world.http.post("/image/v2/images", json=body)).json()["id"]
    headers = {"Content-Type": "application/octet-stream"}
    await world.http.put(f"/image/v2/images/{image_id}/file", content=bytes(1 << 20), headers=headers)
    return image_id


def test_a_hypervisor_that_stays_away_is_not_told_of_by_every_periodic_task(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        lose(world, "a")
        with capture_logs() as said:
            await world.clock.sleep(1500)
        assert [line for line in said if line["event"] == "periodic task failed"] == []
        world.machines["a"].come_back()
        await in_service(world, "a", True)

    play(tmp_path, test)


def test_a_hypervisor_that_answers_with_refusals_is_told_of_once_for_each_reason(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        machine = world.machines["a"]
        with capture_logs() as said:
            for reason in ("no emulator", "no disk"):
                machine.away = reason
                machine.drivers[0].virtapi.set_host_enabled(True)
                await world.clock.sleep(30)
        told = [line["error"] for line in said if line["event"] == "the hypervisor's state could not be reported yet"]
        assert len(told) == 2
        assert "no emulator" in told[0]
        assert "no disk" in told[1]

    play(tmp_path, test)


def test_lost_while_the_conductor_is_away_it_is_disabled_when_that_is_back(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        image_id = await image(world)
        await world.conductor.kill()
        lose(world, "a")
        await world.clock.sleep(45)
        assert (await service(world, "a")).disabled is False  # nobody could be told
        world.conductor.start()
        await in_service(world, "a", False)
        assert "gone" in ((await service(world, "a")).disabled_reason or "")

        servers = [await create(world, f"s{n}", image_id) for n in range(6)]
        shown: list[dict[str, Any]] = []

        async def all_there() -> bool:
            shown[:] = [(await world.http.get(f"/compute/v2.1/servers/{one}")).json()["server"] for one in servers]
            return all(server["status"] == "ACTIVE" for server in shown)

        await world.until(all_there, within_s=120)
        assert {server["OS-EXT-SRV-ATTR:host"] for server in shown} == {"b"}
        world.machines["a"].come_back()
        await in_service(world, "a", True)

    play(tmp_path, test)


def test_back_while_the_conductor_is_away_it_is_enabled_when_that_is_back(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        lose(world, "a")
        await in_service(world, "a", False)
        cut(world)
        world.machines["a"].come_back()
        await world.clock.sleep(50)
        assert (await service(world, "a")).disabled is True
        mend(world)
        await in_service(world, "a", True)
        # It went and came back within one silence: nothing is left of it.
        cut(world)
        lose(world, "a")
        await world.clock.sleep(3)
        world.machines["a"].come_back()
        await world.clock.sleep(3)
        mend(world)
        await world.clock.sleep(60)
        assert (await service(world, "a")).disabled is False

    play(tmp_path, test)


def test_a_level_that_comes_late_is_not_the_last_word(tmp_path: Path) -> None:
    """Sent again since no answer had come, and held up in a conductor that stood still."""

    async def test(world: World) -> None:
        late = SetHostEnabled(HostName("a"), (await service(world, "a")).epoch, False, "libvirt is not available")
        await world.db.write(register.set_enabled, late, world.clock.now())
        assert (await service(world, "a")).disabled is True
        await world.clock.sleep(2 * world.settings.default.sync_power_state_interval)
        assert (await service(world, "a")).disabled is False

    play(tmp_path, test)


def test_an_operators_own_disable_outlives_every_outage(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        service_id = (await service(world, "a")).id
        body = {"status": "disabled", "disabled_reason": "new fans"}
        reply = await world.http.put(f"/compute/v2.1/os-services/{service_id}", json=body)
        assert reply.status_code == 200, reply.text
        cut(world)
        lose(world, "a")
        await world.clock.sleep(20)
        mend(world)
        await world.clock.sleep(30)
        world.machines["a"].come_back()
        await world.clock.sleep(60)
        now = await service(world, "a")
        assert (now.disabled, now.disabled_reason) == (True, "new fans")

    play(tmp_path, test)


def test_the_error_is_notified_once_though_the_conductor_was_away(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        cut(world)
        lose(world, "a")
        begin = world.clock.now()
        await world.clock.sleep(40)
        assert await world.db.read(newest, 10) == []
        mend(world)
        await world.clock.sleep(60)
        (found,) = (one.notification for one in await world.db.read(newest, 10))
        assert (found.host, found.event_type, found.priority) == ("a", ERROR, "ERROR")
        assert found.payload == {"ip": "192.0.2.1", "method": "_connect", "reason": "gone"}
        assert found.created_at <= begin

    play(tmp_path, test)


def test_one_guest_that_cannot_be_read_stops_neither_the_host_nor_its_start(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        image_id = await image(world)
        await world.hosts["b"].kill()
        await world.clock.sleep(120)  # until nothing is placed there any more
        bad, good = await create(world, "s1", image_id), await create(world, "s2", image_id)

        async def status(server_id: str) -> str:
            found: str = (await world.http.get(f"/compute/v2.1/servers/{server_id}")).json()["server"]["status"]
            return found

        async def is_so(server_id: str, wanted: str) -> bool:
            return await status(server_id) == wanted

        for one in (bad, good):
            await world.until(lambda one=one: is_so(one, "ACTIVE"), within_s=120)

        async def odd(call: str, guest: object) -> None:
            if call == "guest_state" and guest == bad:
                raise ZeroDivisionError("a defect of ours, or of libvirt's")

        machine = world.machines["a"]
        machine.before_call = odd
        await world.hosts["a"].kill()
        world.hosts["a"].start()
        later = await create(world, "s3", image_id)
        await world.until(lambda: is_so(later, "ACTIVE"), within_s=120)
        machine.crash(bad)  # type: ignore[arg-type]
        await world.clock.sleep(1)
        machine.crash(good)  # type: ignore[arg-type]
        await world.until(lambda: is_so(good, "SHUTOFF"), within_s=30)
        await world.until(lambda: is_so(bad, "SHUTOFF"), within_s=300)  # by the bulk read, which can read it

    play(tmp_path, test)


def test_a_host_has_its_driver_before_its_record_and_both_before_any_work(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        await world.conductor.kill()
        world.add_host("c")
        await world.clock.sleep(30)
        machine = world.machines["c"]
        assert len(machine.drivers) == 1
        assert await world.db.read(read_hosts.list_services, host="c", binary=read_hosts.COMPUTE) == []
        calls: list[str] = []

        async def note(call: str, _guest: object) -> None:
            calls.append(call)

        machine.before_call = note
        world.conductor.start()
        await in_service(world, "c", True)
        assert calls[0] == "inventory"
        assert "define" not in calls

    play(tmp_path, test)


def test_what_the_watchdog_ends_is_counted(tmp_path: Path) -> None:
    async def test(world: World) -> None:
        image_id = await image(world)
        for host in world.hosts.values():
            await host.kill()
        server_id = await create(world, "s1", image_id)

        async def failed() -> bool:
            return (await world.http.get(f"/compute/v2.1/servers/{server_id}")).json()["server"]["status"] == "ERROR"

        assert world.metrics.value("kilonova_overdue_actions_total") == 0
        await world.until(failed, within_s=7200)
        assert world.metrics.value("kilonova_overdue_actions_total") == 1

    play(tmp_path, test)


def test_a_short_outage_of_the_only_hypervisor_fails_no_create(tmp_path: Path) -> None:
    """Its host is out of service for seconds; or the whole service has just started, and nobody has registered yet."""

    async def test(world: World) -> None:
        await world.hosts["b"].kill()
        image_id = await image(world)
        await world.clock.sleep(2 * world.settings.default.service_down_time)
        lose(world, "a")
        await in_service(world, "a", False)
        waits = await create(world, "s1", image_id)
        await world.clock.sleep(1)
        path = f"/compute/v2.1/servers/{waits}/os-instance-actions"
        (shown,) = (await world.http.get(path)).json()["instanceActions"]
        assert shown["message"] == "Waiting for a host: its hypervisor does not answer."
        world.machines["a"].come_back()
        await active(world, waits, within_s=10)
        lose(world, "a")
        await in_service(world, "a", False)
        begun, lost = world.clock.monotonic(), await create(world, "s2", image_id)
        await world.until(lambda: has_status(world, lost, "ERROR"), within_s=120)
        assert world.clock.monotonic() - begun >= world.settings.conductor.host_wait
        world.machines["a"].come_back()

    play(tmp_path, test)


def test_a_create_is_not_too_early_for_a_cloud_that_starts(tmp_path: Path) -> None:
    async def main() -> None:
        async with simulated(7, tmp_path, hosts=("a",), loss=0, doubling=0.2) as world:
            early = await create(world, "s1", await image(world))
            await active(world, early, within_s=30)

    run_virtually(main())


def test_a_watch_that_fails_in_each_round_keeps_no_other_watch_from_its_rounds(tmp_path: Path) -> None:
    """The database holds an action whose row cannot even be fetched."""

    async def test(world: World) -> None:
        odd = await create(world, "s1", await image(world))
        await active(world, odd, within_s=60)

        def spoil(connection: sa.Connection) -> None:
            actions = sa.table("actions", sa.column("params"), sa.column("state"), sa.column("host"))
            connection.execute(sa.update(actions).values(params="{", state="open", host="nowhere"))

        await world.db.write(spoil)
        with capture_logs() as said:
            await world.hosts["b"].kill()
            await world.clock.sleep(world.settings.default.service_down_time + 30)
        assert {line["task"] for line in said if line["event"] == "periodic task failed"} == {"watchdog"}
        assert (await service(world, "b")).up is False

    play(tmp_path, test)


async def active(world: World, server_id: str, within_s: float) -> None:
    await world.until(lambda: has_status(world, server_id, "ACTIVE"), within_s=within_s)


async def has_status(world: World, server_id: str, wanted: str) -> bool:
    found: str = (await world.http.get(f"/compute/v2.1/servers/{server_id}")).json()["server"]["status"]
    return found == wanted
