# SPDX-License-Identifier: Apache-2.0
"""The record of a real conductor, and its replay in another process."""

import asyncio
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.objects.instance import Instance
from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import CREATE_SERVERS, CreateServers
from tests.live.fleet import Fleet, context
from tests.live.fleet import fleet as running_fleet
from tests.live.test_processes import act

pytestmark = pytest.mark.live

COUNT = 20
NO_WAKE = """
from kilonova.conductor.service import Conductor
async def nobody(self, host): pass
Conductor._wake = nobody
"""
"""A changed conductor: it wakes no host."""


def replayed(record: Path, *words: str, seed: str, prelude: str = "") -> "subprocess.CompletedProcess[str]":
    """`kilonova replay` in a process with hashes of its own."""
    program = f"{prelude}\nimport runpy; runpy.run_module('kilonova', run_name='__main__', alter_sys=True)"
    argv = [sys.executable, "-c", program, "replay", str(record), *words]
    env = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=env)


def create(fleet: Fleet) -> list[Instance]:
    """Creates that the conductor has accepted; the last one has an image that its host cannot use."""

    async def ask() -> list[Instance]:
        async with fleet.api() as api:
            image = await fleet.image()
            made = [fleet.instance(image, name=f"s{number}") for number in range(COUNT)]
            made[-1] = fleet.instance(replace(image, disk_format="qcow2"))
            for one in made:
                await api.call(CREATE_SERVERS, CreateServers(context(), (one,)))
            return made

    return asyncio.run(ask())


@pytest.fixture(scope="module")
def record() -> Iterator[Path]:
    """The record of a conductor that lost its bus for a moment, and was killed in the middle of deletes."""
    with running_fleet() as fleet:
        record = fleet.directory / "conductor.record"
        more = f"[quota]\ninstances = 50\ncores = 100\n[record]\nfile = {record}\n"
        fleet.config.write_text(f"{fleet.config.read_text()}{more}")
        fleet.conductor.start().ready()
        fleet.compute.start().ready()
        made = create(fleet)
        fleet.nats.stop()
        fleet.nats.start()
        for one in made[:-1]:
            fleet.wait_state(one.id, "active")
        fleet.wait_state(made[-1].id, "error")
        for one in made[:3]:
            act(fleet, one, Verb.DELETE)
        fleet.conductor.kill()
        yield record


def test_a_replay_makes_the_same_calls_in_another_process(record: Path) -> None:
    assert stat.filemode(record.stat().st_mode) == "-rw-------"
    first, second = replayed(record, seed="1"), replayed(record, seed="2")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Every call is the recorded one." in first.stdout
    states = re.findall(r" create .* leg 0 (done, guest running|failed, guest absent)", first.stdout)
    assert sorted(states) == ["done, guest running"] * (COUNT - 1) + ["failed, guest absent"], first.stdout
    assert second.stdout == first.stdout


def test_a_torn_tail_and_another_file(record: Path, tmp_path: Path) -> None:
    torn = tmp_path / "torn"
    torn.write_bytes(record.read_bytes()[:-7])
    done = replayed(torn, "--until", "100", "--trace", seed="3")
    assert done.returncode == 0, done.stdout
    assert " call     write conductor.hosts.reports.report" in done.stdout
    torn.write_bytes(b"something else")
    done = replayed(torn, seed="3")
    assert (done.returncode, done.stdout.count("\n")) == (2, 1), done.stdout + done.stderr
    assert "is not a record" in done.stdout


def test_changed_code_leaves_the_record_where_it_differs(record: Path) -> None:
    done = replayed(record, seed="4", prelude=NO_WAKE)
    assert done.returncode == 1, done.stdout
    assert re.search(r"leaves the record at entry \d+: recorded is publish compute.box1", done.stdout), done.stdout
