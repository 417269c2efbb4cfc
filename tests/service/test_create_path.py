# SPDX-License-Identifier: Apache-2.0
"""docs/architecture.md tells a create in at most 25 files.  Here a create runs through each of them."""

import re
import sys
import threading
from types import FrameType
from typing import Any

from lab.common import TOP
from tests.service.api import running_api

MOST_FILES = 25
ONLY_WITH_LIBVIRT = "virt/libvirt/"


def listed() -> list[str]:
    """The files of the numbered table."""
    text = (TOP / "docs/architecture.md").read_text()
    return re.findall(r"(?m)^\| \d+ \| `([\w/]+\.py)` \|", text)


def test_the_files_exist_and_are_few() -> None:
    files = listed()
    assert 20 <= len(files) <= MOST_FILES
    assert [file for file in files if not (TOP / "src/kilonova" / file).is_file()] == []


async def test_a_create_runs_through_each_of_them() -> None:
    entered: set[str] = set()

    def note(frame: FrameType, _event: str, _argument: Any) -> None:
        entered.add(frame.f_code.co_filename)

    threading.setprofile(note)  # the database and the files have threads of their own
    try:
        async with running_api() as api:
            image = await api.image()
            entered.clear()
            sys.setprofile(note)
            await api.server(image)
            sys.setprofile(None)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    passed = {file for file in listed() if any(name.endswith(f"/src/kilonova/{file}") for name in entered)}
    expected = {file for file in listed() if not file.startswith(ONLY_WITH_LIBVIRT)}
    # A class of protocols or declarations runs nothing by itself.
    assert expected - passed <= {"virt/driver.py", "rpcapi/api_to_conductor.py"}
