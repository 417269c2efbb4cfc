# SPDX-License-Identifier: Apache-2.0
"""What every compute driver promises: one suite, on the fake, on libvirt's test driver, and on QEMU."""

import asyncio

import pytest

from kilonova.base.errors import HypervisorError, InvalidState
from kilonova.compute.capacity import inventory_of
from kilonova.objects.flavor import Flavor
from kilonova.objects.guest import NOT_RESPONDING
from kilonova.objects.ids import FlavorId, InstanceId
from kilonova.objects.states import PowerState
from kilonova.virt.capabilities import CONSOLES
from tests.contract.drivers import FAKE, QEMU, TEST, Bench, Case, define_foreign, present, remove_foreign
from tests.make import until

NOBODY = InstanceId("00000000-0000-4000-8000-000000000000")


def test_absent_before_anything_was_done(case: Case) -> None:
    async def test(b: Bench) -> None:
        assert await b.driver.guest_state(NOBODY) is None
        assert NOBODY not in await b.driver.guest_states()

    case.run(test)


def test_every_undoing_is_fine_where_nothing_was_done(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.driver.shutdown(guest.id)
        await b.tear_down(guest)
        await b.tear_down(guest)
        assert await b.driver.console_output(guest.id, 1000) == b""

    case.run(test)


def test_a_guest_that_was_never_defined_cannot_be_started(case: Case) -> None:
    async def test(b: Bench) -> None:
        with pytest.raises(HypervisorError):
            await b.driver.power_on(NOBODY, "m")

    case.run(test)


def test_a_whole_life_with_every_call_made_twice(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await b.build(guest)
        state = await b.driver.guest_state(guest.id)
        assert state is not None
        assert (state.power, state.start_token) == (PowerState.SHUTDOWN, None)
        for _ in range(2):
            await b.driver.power_on(guest.id, "first")
            assert await b.power(guest.id) is PowerState.RUNNING
        for _ in range(2):
            await b.driver.power_off(guest.id)
            assert await b.power(guest.id) is PowerState.SHUTDOWN
        for _ in range(2):
            await b.driver.undefine(guest.id)
            assert await b.driver.guest_state(guest.id) is None
        for _ in range(2):
            await b.driver.remove_network(guest)
            await b.driver.remove_disks(guest.id)
        assert b.files() == []

    case.run(test)


def test_one_read_and_the_bulk_read_say_the_same(case: Case) -> None:
    async def test(b: Bench) -> None:
        on, off = b.instance(), b.instance()
        for guest in (on, off):
            await b.build(guest)
        await b.driver.power_on(on.id, "m")
        try:
            states = await b.driver.guest_states()
            assert set(states) == {on.id, off.id}
            for guest in (on, off):
                assert states[guest.id] == await b.driver.guest_state(guest.id)
            assert states[on.id].power is PowerState.RUNNING
            assert states[on.id].reason != ""
            assert states[off.id].power is PowerState.SHUTDOWN
        finally:
            for guest in (on, off):
                await b.tear_down(guest)
        assert await b.driver.guest_states() == {}

    case.run(test)


def test_a_running_guest_keeps_its_mark_and_each_start_brings_its_own(case: Case) -> None:
    async def test(b: Bench) -> None:
        async def marks() -> list[str | None]:
            state = await b.driver.guest_state(guest.id)
            assert state is not None
            return [state.start_token, (await b.driver.guest_states())[guest.id].start_token]

        guest = b.instance()
        await b.build(guest)
        assert await marks() == [None, None]
        await b.driver.power_on(guest.id, "one")
        await b.driver.power_on(guest.id, "two")
        assert await marks() == ["one", "one"]
        await b.driver.define(guest)
        assert await marks() == ["one", "one"]
        await b.driver.power_off(guest.id)
        assert await marks() == ["one", "one"]
        await b.driver.power_on(guest.id, 'th"<re>&')
        assert await marks() == ['th"<re>&'] * 2
        await b.tear_down(guest)
        await b.build(guest)
        assert await marks() == [None, None]
        await b.tear_down(guest)

    case.run(test)


@pytest.mark.parametrize("case", [QEMU], indirect=True)  # guests of the others live and die with the process
def test_guests_and_marks_survive_a_restart_of_the_service(case: Case) -> None:
    async def before(b: Bench) -> None:
        await b.build(guest)
        await b.driver.power_on(guest.id, "mine")

    async def after(b: Bench) -> None:
        await until(lambda: guest.id in {event.instance_id for event in b.virtapi.events})
        state = (await b.driver.guest_states())[guest.id]
        assert (state.power, state.start_token) == (PowerState.RUNNING, "mine")
        await b.tear_down(guest)

    guest = Bench.instance(_bench_of(case))
    case.run(before)
    case.run(after)


def _bench_of(case: Case) -> Bench:
    from kilonova.virt.fake import FakeDriver
    from tests.contract.drivers import RecordingVirtAPI

    virtapi = RecordingVirtAPI()
    return Bench(FakeDriver(virtapi, case.settings), virtapi, case.base, case.settings, case.obeys_acpi)


def test_a_guest_that_is_not_off_stays_defined_and_keeps_its_disks(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await b.driver.power_on(guest.id, "m")
        with pytest.raises(HypervisorError):
            await b.driver.undefine(guest.id)
        with pytest.raises(HypervisorError):
            await b.driver.remove_disks(guest.id)
        assert await b.power(guest.id) is PowerState.RUNNING
        await b.driver.power_off(guest.id)
        with pytest.raises(HypervisorError):
            await b.driver.remove_disks(guest.id)
        await b.tear_down(guest)

    case.run(test)


def test_shutdown_asks_and_returns_at_once(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await b.driver.shutdown(guest.id)
        assert await b.power(guest.id) is PowerState.SHUTDOWN
        await b.driver.power_on(guest.id, "m")
        await b.driver.shutdown(guest.id)
        if b.obeys_acpi:
            await until(lambda: any("shutdown" in (event.kind, event.detail) for event in b.virtapi.events))
            assert await b.power(guest.id) is PowerState.SHUTDOWN
        else:
            assert await b.power(guest.id) is PowerState.RUNNING
        await b.tear_down(guest)

    case.run(test)


def test_a_paused_guest_stands_still_and_goes_on(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        for refused in (b.driver.pause, b.driver.unpause):
            with pytest.raises(HypervisorError, match="does not run"):
                await refused(guest.id)
        await b.build(guest)
        with pytest.raises(HypervisorError, match="does not run"):
            await b.driver.unpause(guest.id)
        await b.driver.power_on(guest.id, "m")
        for _ in range(2):
            await b.driver.pause(guest.id)
            assert await b.power(guest.id) is PowerState.PAUSED
        for _ in range(2):
            await b.driver.unpause(guest.id)
            assert await b.power(guest.id) is PowerState.RUNNING
        assert (state := await b.driver.guest_state(guest.id)) is not None
        assert state.start_token == "m"
        await b.tear_down(guest)

    case.run(test)


def test_changes_of_power_are_told_as_events(case: Case) -> None:
    async def test(b: Bench) -> None:
        def of_guest() -> int:
            return sum(event.instance_id == guest.id for event in b.virtapi.events)

        guest = b.instance()
        await b.build(guest)
        before = of_guest()
        await b.driver.power_on(guest.id, "m")
        await until(lambda: of_guest() > before)
        before = of_guest()
        await b.driver.power_off(guest.id)
        await until(lambda: of_guest() > before)
        await b.tear_down(guest)

    case.run(test)


def test_a_definition_can_be_changed_while_the_guest_runs(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await b.driver.power_on(guest.id, "m")
        await b.driver.define(b.instance(id=guest.id, name="renamed"))
        assert await b.power(guest.id) is PowerState.RUNNING
        await b.tear_down(guest)

    case.run(test)


def test_the_config_drive_may_be_written_again(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await b.driver.ensure_config_drive(guest, {"openstack/latest/user_data": b"new"})
        await b.driver.power_on(guest.id, "m")
        await b.tear_down(guest)
        assert b.files() == []

    case.run(test)


def test_a_guest_without_network_and_config_drive(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance(addresses=(), wants_network=False)
        await b.driver.ensure_disks(guest, b.base)
        await b.driver.define(guest)
        await b.driver.power_on(guest.id, "m")
        assert await b.power(guest.id) is PowerState.RUNNING
        await b.tear_down(guest)

    case.run(test)


def test_the_console_is_never_longer_than_asked_for(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.build(guest)
        await b.driver.power_on(guest.id, "m")
        assert len(await b.driver.console_output(guest.id, 5)) <= 5
        assert await b.driver.console_output(guest.id, 0) == b""
        await b.tear_down(guest)
        assert await b.driver.console_output(guest.id, 100) == b""

    case.run(test)


def test_the_inventory_is_whole(case: Case) -> None:
    async def test(b: Bench) -> None:
        inventory = inventory_of(await b.driver.resources(), b.settings.default)
        assert inventory.node
        assert inventory.hypervisor_type
        assert inventory.hypervisor_version > 0
        assert inventory.vcpus >= 1
        assert inventory.vcpus_capacity == int(inventory.vcpus * b.settings.default.cpu_allocation_ratio)
        reserved = b.settings.default.reserved_host_memory_mb
        assert inventory.memory_mib_capacity == inventory.memory_mib - reserved
        assert inventory.disk_gib >= inventory.disk_available_gib > 0
        assert [network.name for network in inventory.networks] == [b.settings.network.name]

    case.run(test)


def test_a_read_only_driver_reads_and_refuses_every_change(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        await b.driver.resources()
        assert await b.driver.guest_states() == {}
        assert await b.driver.guest_state(guest.id) is None
        assert await b.driver.console_output(guest.id, 10) == b""
        for change in (
            b.driver.ensure_disks(guest, b.base),
            b.driver.ensure_config_drive(guest, {}),
            b.driver.ensure_network(guest),
            b.driver.define(guest),
            b.driver.power_on(guest.id, "m"),
            b.driver.pause(guest.id),
            b.driver.unpause(guest.id),
            b.driver.shutdown(guest.id),
            b.driver.power_off(guest.id),
            b.driver.undefine(guest.id),
            b.driver.remove_network(guest),
            b.driver.remove_disks(guest.id),
        ):
            with pytest.raises(HypervisorError, match="read-only"):
                await change
        assert b.files() == []

    case.run(test, read_only=True)


def test_the_pulse_of_one_that_answers_or_does_not_run_changes_nothing(case: Case) -> None:
    async def test(b: Bench) -> None:
        liveness = present(b.driver.liveness)
        guest = b.instance()
        await b.build(guest)
        for power in (PowerState.SHUTDOWN, PowerState.RUNNING):
            for one in (NOBODY, guest.id):
                await liveness.probe_guest(one)
            assert await b.power(guest.id) is power
            await b.driver.power_on(guest.id, "m")
        await b.tear_down(guest)

    case.run(test)


@pytest.mark.parametrize("case", [FAKE, QEMU], indirect=True)
def test_a_frozen_guest_does_not_respond_until_it_answers_or_its_plug_is_pulled(case: Case) -> None:
    async def says(b: Bench, guest: InstanceId) -> tuple[PowerState, str]:
        one = await b.driver.guest_state(guest)
        assert one is not None
        assert one == (await b.driver.guest_states())[guest]
        return one.power, one.reason

    silent = (PowerState.NOSTATE, NOT_RESPONDING)

    async def freeze(b: Bench, guest: InstanceId) -> None:
        """One probe may find nothing out on a busy machine: the service repeats it, too."""
        assert case.freeze is not None
        case.freeze(b, guest, True)
        while await says(b, guest) != silent:
            await present(b.driver.liveness).probe_guest(guest)

    async def test(b: Bench) -> None:
        liveness = present(b.driver.liveness)
        assert case.freeze is not None
        ill, well = b.instance(), b.instance()
        for guest in (ill, well):
            await b.build(guest)
            await b.driver.power_on(guest.id, "m")
        usual = await says(b, ill.id)
        assert usual[0] is PowerState.RUNNING
        for _ in range(2):
            await freeze(b, ill.id)
            await liveness.probe_guest(well.id)
            assert await says(b, ill.id) == silent
            assert (await says(b, well.id))[0] is PowerState.RUNNING
            b.virtapi.events.clear()
            case.freeze(b, ill.id, False)
            await until(lambda: any(event.instance_id == ill.id for event in b.virtapi.events))
            assert await says(b, ill.id) == usual
        await freeze(b, ill.id)
        await b.driver.power_off(ill.id)
        assert await b.power(ill.id) is PowerState.SHUTDOWN
        await b.driver.power_on(ill.id, "again")
        assert (await says(b, ill.id))[0] is PowerState.RUNNING
        for guest in (ill, well):
            await b.tear_down(guest)

    case.run(test)


@pytest.mark.parametrize("case", [TEST, QEMU], indirect=True)
def test_foreign_domains_are_neither_listed_nor_touched(case: Case) -> None:
    async def test(b: Bench) -> None:
        foreign = await define_foreign(b)
        ours = b.instance()
        await b.build(ours)
        for _ in range(2):
            assert set(await b.driver.guest_states()) == {ours.id}
        assert await b.driver.guest_state(foreign) is None
        for change in (
            b.driver.power_off(foreign),
            b.driver.shutdown(foreign),
            b.driver.power_on(foreign, "m"),
            b.driver.undefine(foreign),
            b.driver.define(b.instance(id=foreign)),
            b.driver.remove_disks(foreign),
        ):
            with pytest.raises(HypervisorError):
                await change
        await b.tear_down(ours)
        assert foreign not in {event.instance_id for event in b.virtapi.events}
        await remove_foreign(b, foreign)

    case.run(test)


@pytest.mark.parametrize("case", [TEST, QEMU], indirect=True)
def test_the_root_disk_is_an_overlay_of_the_greater_size_and_is_kept(case: Case) -> None:
    async def test(b: Bench) -> None:
        small, large = b.instance(), b.instance(flavor=Flavor(FlavorId("2"), "wide", 1, 64, disk_gib=1))
        for guest, size in ((small, b.base.virtual_size), (large, 1 << 30)):
            await b.driver.ensure_disks(guest, b.base)
            disk = b.settings.default.instances_path / guest.id / "disk"
            with disk.open("rb") as file:
                header = file.read(32)
            assert header[:4] == b"QFI\xfb"
            assert int.from_bytes(header[24:32], "big") == size
            seen = disk.stat()
            await b.driver.ensure_disks(guest, b.base)
            assert (disk.stat().st_ino, disk.stat().st_mtime_ns) == (seen.st_ino, seen.st_mtime_ns)
            (disk.parent / "disk.unfinished").write_bytes(b"left by a crash")
            await b.driver.remove_disks(guest.id)
        assert b.files() == []

    case.run(test)


def test_a_console_is_there_while_the_guest_runs_and_the_second_session_takes_it_over(case: Case) -> None:
    async def test(b: Bench) -> None:
        guest = b.instance()
        with pytest.raises(InvalidState, match="not running"):
            await CONSOLES.of(b.driver).open(guest.id)
        await b.build(guest)
        with pytest.raises(InvalidState, match="not running"):
            await CONSOLES.of(b.driver).open(guest.id)
        await b.driver.power_on(guest.id, "m")
        if case.name == "libvirt-test":
            with pytest.raises((HypervisorError, InvalidState)):  # that driver has no consoles
                await CONSOLES.of(b.driver).open(guest.id)
            await b.tear_down(guest)
            return
        first = await CONSOLES.of(b.driver).open(guest.id)
        second = await CONSOLES.of(b.driver).open(guest.id)
        await until(lambda: bool(first.ended))
        assert "taken over" in first.ended
        while await first.read():
            pass
        with pytest.raises(HypervisorError, match="taken over"):
            await first.write(b"x")
        await first.close()
        await second.write(b"\r")
        assert not second.ended
        await b.driver.power_off(guest.id)
        async with asyncio.timeout(20):
            while await second.read():
                pass
        assert second.ended
        await second.close()
        await second.close()
        await b.tear_down(guest)

    case.run(test)
