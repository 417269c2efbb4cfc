# SPDX-License-Identifier: Apache-2.0
"""The doctor's verdict on the way to a conductor, and the checks of a process that runs no guests."""

import asyncio
from pathlib import Path

import pytest

from kilonova.doctor import table
from kilonova.doctor.finding import Level
from kilonova.doctor.fleet import Answered, conductor, fleet_hosts, judge_conductor
from kilonova.rpc import credentials
from lab.cloud import free_port
from tests.unit.doctor.arranged import subject
from tests.unit.doctor.test_bus import credentials as issued


@pytest.mark.parametrize(
    ("answered", "level", "words"),
    [
        (Answered(0.003, 0.2), Level.OK, "answers within 3 ms; the clocks differ by 0.2 s"),
        (Answered(0.003, None), Level.OK, "answers within 3 ms."),
        (Answered(0.003, 30.0), Level.WARNING, "clock of this machine is 30 s behind the conductor's"),
        (Answered(0.003, -300.0), Level.ERROR, "clock of this machine is 300 s ahead of the conductor's"),
        (Answered(1.5, 0.0), Level.WARNING, "which is slow"),
        (Answered(0.003, 0.0, "Host 'h1' has two live processes."), Level.ERROR, "two live processes"),
    ],
)
def test_the_verdict(answered: Answered, level: Level, words: str) -> None:
    verdict = judge_conductor(answered)
    assert (verdict.level, words in verdict.found) == (level, True), verdict
    assert bool(verdict.cure) == (level is not Level.OK)


def test_without_a_server(tmp_path: Path) -> None:
    assert conductor(subject(tmp_path)).level is Level.OK
    away = subject(tmp_path, transport_url=f"nats://127.0.0.1:{free_port()}")
    assert conductor(away).level is Level.ERROR
    assert "not connected" in conductor(away).found
    assert fleet_hosts(away).level is Level.NOTE


def test_a_process_without_guests_has_no_checks_of_a_host(tmp_path: Path) -> None:
    file = tmp_path / "h1.kilonova"
    credentials.write(file, issued(None))
    assert subject(tmp_path, transport_credentials=str(file)).runs_guests
    text = file.read_text().replace("host-h1", "api-a1")
    file.write_text(text)
    of_api = subject(tmp_path, transport_credentials=str(file))
    assert not of_api.runs_guests
    names = {one.check for one in asyncio.run(table.examine(of_api))}
    assert names == table.OF_EVERY_PROCESS
    assert not names & {"kvm-device", "libvirt", "guest-disks"}
