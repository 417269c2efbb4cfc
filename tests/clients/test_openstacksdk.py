# SPDX-License-Identifier: Apache-2.0
"""openstacksdk against a real box: the script beside this file, by the client's own Python."""

import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from lab.common import CLIENT
from tests.clients.conftest import Client
from tests.live.box import GUEST_IMAGE

pytestmark = pytest.mark.live

SCRIPT = Path(__file__).with_name("with_openstacksdk.py")


@pytest.fixture(scope="module")
def image(openstack: Client) -> Generator[str]:
    made = ("image", "create", "--disk-format", "qcow2", "--container-format", "bare", "--file", str(GUEST_IMAGE))
    openstack(*made, "for-the-sdk")
    yield "for-the-sdk"
    openstack.plain("image", "delete", "for-the-sdk")


def test_a_program_finds_makes_runs_and_removes_what_it_needs(openstack: Client, image: str) -> None:
    argv = [str(CLIENT / "bin/python"), str(SCRIPT), image]
    done = subprocess.run(argv, env=openstack.environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
