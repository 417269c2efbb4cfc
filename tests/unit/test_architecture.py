# SPDX-License-Identifier: Apache-2.0
"""The import rules find what they are for: each planted breach is reported, and the code as it is has none."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lab.common import TOP

BREACHES = {
    "One direction": ("conductor/quota.py", "kilonova.api.app"),
    "A compute host has no database": ("compute/manager.py", "kilonova.db.engine"),
    "The API reaches no driver": ("api/compute/admin/zones.py", "kilonova.db.writers.hosts"),
    "The conductor reaches no driver": ("conductor/service.py", "kilonova.virt.driver"),
    "The scheduler is a library": ("doctor/files.py", "kilonova.scheduler.choose"),
    "Only virt.libvirt knows libvirt": ("doctor/files.py", "libvirt"),
    "Only rpc.nats knows NATS": ("backup/make.py", "nats"),
    "Only db knows the database": ("wiring/shared.py", "sqlalchemy"),
    "Only db.postgres knows psycopg": ("db/opening.py", "psycopg"),
    "Only virt.libvirt builds and reads XML": ("compute/manager.py", "lxml.etree"),
    "Only api knows HTTP servers": ("base/tasks.py", "starlette.types"),
    "Only images is an HTTP client": ("compute/fleet_images.py", "httpx"),
    "Only cmd knows the command line": ("doctor/report.py", "typer"),
    "Only identity hashes": ("api/identity/users.py", "argon2"),
    "The HTTP framework knows no resource": ("api/http/route.py", "kilonova.api.image.images"),
    "Inside the API": ("api/network/listing.py", "kilonova.api.compute.fields"),
    "Inside the libvirt driver": ("virt/libvirt/xml/elements.py", "kilonova.virt.libvirt.domain.states"),
    "Drivers do not know each other": ("virt/fake/machine.py", "kilonova.virt.libvirt.driver"),
    "Inside the conductor": ("conductor/engine/end.py", "kilonova.conductor.service"),
    "No knots": ("virt/calls/__init__.py", "kilonova.virt.fake.driver"),
}
"""By the beginning of a contract's name: a file, and what it must not import."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the checker says of a copy of the code with every breach in it."""
    copy = tmp_path_factory.mktemp("breaches")
    shutil.copytree(TOP / "src/kilonova", copy / "kilonova", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TOP / "pyproject.toml", copy)
    for file, module in BREACHES.values():
        path = copy / "kilonova" / file
        path.write_text(path.read_text() + f"\nimport {module} as planted  # noqa\n")
    (copy / "kilonova/stray.py").write_text("")
    env = {**os.environ, "PYTHONPATH": str(copy), "COLUMNS": "300"}
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    return re.sub(r"\s+", " ", done.stdout)


@pytest.mark.parametrize("contract", BREACHES)
def test_a_planted_breach_is_found(report: str, contract: str) -> None:
    verdict = re.search(re.escape(contract) + r".{0,120}?(KEPT|BROKEN)", report)
    assert verdict is not None
    assert verdict[1] == "BROKEN"


def test_every_contract_has_a_breach() -> None:
    names = re.findall(r'contracts\]\]\nname = "([^"]+)"', (TOP / "pyproject.toml").read_text())
    assert [name for name in names if not name.startswith(tuple(BREACHES))] == []


def test_a_module_without_a_room_is_found(report: str) -> None:
    assert "kilonova.stray" in report
