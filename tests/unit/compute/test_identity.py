# SPDX-License-Identifier: Apache-2.0
"""The identity file: given once, completed, and refused under another name."""

import json
import shutil
from pathlib import Path

import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.errors import StateError
from kilonova.cmd.common import prepare_state
from kilonova.compute.host_identity import FILE, LOCK, read_identity


def test_an_identity_is_given_once_and_stays(tmp_path: Path) -> None:
    clock = SystemClock()
    boot = tmp_path / "boot_id"
    boot.write_text("boot-1\n")
    first = read_identity(tmp_path, "h1", clock, boot)
    boot.write_text("boot-2\n")
    second = read_identity(tmp_path, "h1", clock, boot)
    assert (first.node_id, first.boot_id, second.boot_id) == (second.node_id, "boot-1", "boot-2")
    assert first.process_id != second.process_id
    assert json.loads((tmp_path / FILE).read_text()) == {"node_id": first.node_id, "host": "h1"}
    assert [path.name for path in tmp_path.glob("*.new")] == []


def test_the_plain_id_of_an_older_version_is_completed(tmp_path: Path) -> None:
    node_id = "11111111-1111-4111-8111-111111111111"
    (tmp_path / FILE).write_text(node_id + "\n")
    assert read_identity(tmp_path, "h1", SystemClock()).node_id == node_id
    with pytest.raises(StateError):
        read_identity(tmp_path, "h2", SystemClock())


def test_another_name_is_refused_with_what_it_was_what_it_is_and_what_to_do(tmp_path: Path) -> None:
    read_identity(tmp_path, "old", SystemClock())
    with pytest.raises(StateError) as caught:
        read_identity(tmp_path, "new", SystemClock())
    assert "belongs to host 'old' and this is host 'new': set host = old" in caught.value.message


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", "no uuid", '{"node_id": 1, "host": "h1"}'])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(StateError, match="holds no node id"):
        read_identity(tmp_path, "h1", SystemClock())


def test_a_machine_without_a_boot_id_is_known_as_such(tmp_path: Path) -> None:
    assert read_identity(tmp_path, "h1", SystemClock(), tmp_path / "none").boot_id == "unknown"


def test_the_state_directory_is_known_by_its_lock_which_no_copy_shares(tmp_path: Path) -> None:
    assert read_identity(tmp_path, "h1", SystemClock()).state_id == ""  # nobody holds it
    first, copy = tmp_path / "first", tmp_path / "copy"
    with prepare_state(first, "compute"):
        shutil.copytree(first, copy)
        assert (first / LOCK).exists()
        one, again = (read_identity(first, "h1", SystemClock()) for _ in range(2))
        other = read_identity(copy, "h1", SystemClock())
    assert one.state_id == again.state_id != other.state_id
    assert one.started_s <= again.started_s
    with prepare_state(first):  # the one box, on what a process of a role has left
        assert read_identity(first, "h1", SystemClock()).state_id == one.state_id
