# SPDX-License-Identifier: Apache-2.0
"""The drivers that a contract is run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.libvirtd import PrivateLibvirtd
from tests.contract.drivers import (
    DURABLE,
    FAKE,
    QEMU,
    TEST,
    Case,
    fake_case,
    libvirt_qemu_case,
    libvirt_test_case,
    private_daemon,
    state_directory,
)


@pytest.fixture(scope="module")
def daemon() -> Iterator[PrivateLibvirtd]:
    with private_daemon() as running:
        yield running


@pytest.fixture(params=[FAKE, DURABLE, TEST, QEMU])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    if request.param == "fake":
        yield fake_case(tmp_path)
    elif request.param == "fake-durable":
        yield fake_case(tmp_path, "fake.DurableFakeDriver")
    elif request.param == "libvirt-test":
        yield libvirt_test_case(tmp_path)
    else:
        running: PrivateLibvirtd = request.getfixturevalue("daemon")
        with state_directory() as directory:
            yield libvirt_qemu_case(directory, running)
