# SPDX-License-Identifier: Apache-2.0
"""Rates from the counters of a hypervisor."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from kilonova.api.ui.figures import KEPT, History
from kilonova.objects.diagnostics import CpuFigures, DiskFigures, GuestDiagnostics, NicFigures

AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def sample(cpu_s: float, of_disk: int = 0, of_net: int = 0) -> GuestDiagnostics:
    """Two CPUs that share the time, two disks and one network card."""
    return GuestDiagnostics(
        state="running",
        driver="libvirt",
        hypervisor="kvm",
        memory_maximum_kib=512 * 1024,
        memory_used_kib=100 * 1024,
        cpus=(CpuFigures(int(cpu_s * 0.5e9)), CpuFigures(int(cpu_s * 0.5e9))),
        disks=(DiskFigures("vda", read_bytes=of_disk, write_bytes=2 * of_disk), DiskFigures("vdb")),
        nics=(NicFigures("tap0", "mac", rx_octets=of_net, tx_octets=3 * of_net),),
    )


def history(*samples: GuestDiagnostics | None) -> History:
    found = History()
    for at, one in enumerate(samples):
        found.add(AT + timedelta(seconds=10 * at), one)
    return found


def test_rates_are_differences_over_time() -> None:
    columns = history(sample(100, 5000, 700), sample(105, 6000, 900)).columns()
    assert columns == {
        "period": 10.0,
        "vcpus": 2,
        "memory_maximum": 512,
        "at": [AT.timestamp(), AT.timestamp() + 10],
        "cpu": [None, 25.0],
        "memory": [100.0, 100.0],
        "disk_read": [None, 100.0],
        "disk_write": [None, 200.0],
        "net_rx": [None, 20.0],
        "net_tx": [None, 60.0],
    }


def test_a_guest_that_began_again_has_no_rate_and_no_negative_one() -> None:
    columns = history(sample(100, 5000), sample(1, 10), sample(2, 20)).columns()
    assert columns["cpu"] == [None, None, 5.0]
    assert columns["disk_read"] == [None, None, 1.0]
    columns = history(sample(100, 5000), sample(101, 10)).columns()  # a disk was replaced
    assert (columns["cpu"], columns["disk_read"]) == ([None, 5.0], [None, None])


def test_a_guest_that_does_not_run_is_a_gap() -> None:
    columns = history(sample(100), None, sample(900), sample(901)).columns()
    assert columns["cpu"] == [None, None, None, 5.0]
    assert columns["memory"] == [100.0, None, 100.0, 100.0]
    assert len(columns["at"]) == 4


def test_what_is_not_measured_is_unknown() -> None:
    bare = replace(sample(1), memory_used_kib=None, cpus=(), nics=(), disks=())
    assert history(bare, bare).columns()["memory"] == [None, None]


def test_a_clock_that_was_set_back_makes_no_rate() -> None:
    found = history(sample(100))
    found.add(AT - timedelta(seconds=5), sample(101))
    assert found.columns()["cpu"] == [None, None]


def test_an_hour_is_kept() -> None:
    assert len(history(*[sample(n) for n in range(KEPT + 5)]).columns()["at"]) == KEPT
