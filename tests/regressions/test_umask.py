# SPDX-License-Identifier: Apache-2.0
"""Under umask 077, which hardened hosts set for root, the directory of guests was closed to QEMU's user, and no guest
could be built."""

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.base.threads import InlineWorkers
from kilonova.cmd.common import prepare_state
from kilonova.compute.image_cache import ImageCache
from kilonova.virt.base_image import BaseImage
from kilonova.virt.libvirt.disks.disks import Disks
from tests import make
from tests.simulation.virtual import SimClock


@pytest.fixture(params=[0o077, 0o027, 0o000])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    try:
        yield request.param
    finally:
        os.umask(before)


def modes(top: Path) -> dict[str, str]:
    return {str(path.relative_to(top)): oct(stat.S_IMODE(path.lstat().st_mode)) for path in top.rglob("*")}


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_qemu_must_reach_can_be_reached_and_nothing_else_is_open(tmp_path: Path, *, elsewhere: bool) -> None:
    state = tmp_path / "new" / "state"
    instances = tmp_path / "large" / "disks" if elsewhere else state / "instances"
    disks = Disks(instances, "qemu:///system", InlineWorkers(), state / "chains")
    guest = make.instance()

    async def build() -> None:
        cache = ImageCache(instances / "_base", make.OneImage(), InlineWorkers(), SimClock(1))
        base = await cache.ensure(guest.image)
        await disks.ensure_overlay(guest.id, BaseImage(base.path, "raw", base.virtual_size), 1)
        disks.write_config_drive(guest.id, b"iso")

    with prepare_state(state):
        asyncio.run(build())
    found = modes(tmp_path)
    directories = {name: mode for name, mode in found.items() if (tmp_path / name).is_dir()}
    closed = {name for name, mode in directories.items() if mode == "0o700"}
    assert closed == {"new/state/chains"}
    assert {mode for name, mode in directories.items() if name not in closed} == {"0o711", "0o755"}
    cached = next(mode for name, mode in found.items() if "_base/" in name)
    drive, disk = (next(m for n, m in found.items() if n.endswith(f"/{one}")) for one in ("disk.config", "disk"))
    assert (cached, disk, drive) == ("0o644", "0o600", "0o600")
