# SPDX-License-Identifier: Apache-2.0
"""The record of a real conductor, and its replay in another process."""

import asyncio
import os
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.objects.states import Verb
from kilonova.rpcapi.api_to_conductor import CREATE_SERVERS, CreateServers
from tests.live.fleet import Fleet, context
from tests.live.fleet import fleet as running_fleet
from tests.live.test_processes import act

pytestmark = pytest.mark.live

COUNT = 20


def run_replay(record: Path, *words: str, seed: str, prelude: str = "") -> "subprocess.CompletedProcess[str]":
    """`kilonova replay` in a process with hashes of its own."""
    program = f"{prelude}import runpy; runpy.run_module('kilonova', run_name='__main__', alter_sys=True)"
    argv = [sys.executable, "-c", program, "replay", str(record), *words]
    env = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False, env=env)


def create(fleet: Fleet) -> list[str]:
    """Creates that the conductor has accepted; the last one has an image that its host cannot use."""

    async def ask() -> list[str]:
        async with fleet.api() as api:
            image = await fleet.image()
            made = [fleet.instance(image, name=f"s{number}") for number in range(COUNT)]
            made[-1] = fleet.instance(replace(image, disk_format="qcow2"))
            for one in made:
                await api.call(CREATE_SERVERS, CreateServers(context(), (one,)))
            return [one.id for one in made]

    return asyncio.run(ask())


def test_x() -> None:
    with running_fleet() as fleet:
        record = fleet.directory / "conductor.record"
        config = fleet.config.read_text()
        fleet.config.write_text(f"{config}[quota]\ninstances = 50\ncores = 100\n[record]\nfile = {record}\n")
        fleet.conductor.start().ready()
        fleet.compute.start().ready()
        ids = create(fleet)
        for one in ids[:-1]:
            fleet.wait_state(one, "active")
        fleet.wait_state(ids[-1], "error")
        import time; time.sleep(1)
        fleet.conductor.kill()
        print(stat.filemode(record.stat().st_mode), record.stat().st_size)
        print(fleet.conductor.said()[-3000:])
        import shutil; shutil.copy(record, "/tmp/rec1.record")
        done = run_replay(record, seed="1")
        print(done.stdout[-6000:], done.stderr[-3000:], done.returncode)
        assert 0
