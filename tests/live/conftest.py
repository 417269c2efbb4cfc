# SPDX-License-Identifier: Apache-2.0
"""A private libvirtd and a box on it, one of each for a file of tests."""

from collections.abc import Generator

import pytest

from lab.daemon import Daemon
from tests.live.box import GUEST_IMAGE, Box, libvirt_box, private_libvirtd


@pytest.fixture(scope="module")
def daemon() -> Generator[Daemon]:
    with private_libvirtd() as started:
        yield started


@pytest.fixture(scope="module")
def box(daemon: Daemon) -> Generator[Box]:
    with libvirt_box(daemon) as made:
        yield made.start().ready()


@pytest.fixture(scope="module")
def image_id(box: Box) -> str:
    return box.upload(GUEST_IMAGE)
