# SPDX-License-Identifier: Apache-2.0
"""Notifications are kept once, the newest thousand, and can be read."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kilonova.base.errors import StateError
from kilonova.cmd.main import app
from kilonova.conductor.hosts import guests
from kilonova.db.readers.notifications import after, newest
from kilonova.db.writers import notifications
from kilonova.rpcapi.host_to_conductor import Notice, Notify
from tests import make
from tests.unit.conductor.desk import Desk

NOTICE = Notice("n1", make.NOW, "compute.libvirt.error", "ERROR", {"ip": "192.0.2.1", "reason": "it's gone"})


def test_a_repeat_is_one_and_the_oldest_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notifications, "KEPT", 3)
    monkeypatch.setattr(notifications, "TRIM", 1)
    desk = Desk(tmp_path)
    for number in (1, 1, 2, 3, 3, 4, 5):
        desk.write(guests.notify, Notify(make.HOST, replace(NOTICE, id=f"n{number}", event_type=f"e{number}")))
    assert desk.read(newest, 10) == []
    desk.write(notifications.number, True)
    assert [one.notification.event_type for one in desk.read(newest, 10)] == ["e5", "e4", "e3"]
    assert [one.number for one in desk.read(newest, 2)] == [5, 4]
    assert [one.number for one in desk.read(after, 3, 10)] == [4, 5]


def test_the_command_prints_a_line_each(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.write(guests.notify, Notify(make.HOST, NOTICE))
    desk.write(notifications.number, True)
    (tmp_path / "kilonova.conf").write_text(f"[DEFAULT]\nstate_path = {tmp_path}\n")
    for option in ("--state-path", str(tmp_path)), ("--config-file", str(tmp_path / "kilonova.conf")):
        done = CliRunner().invoke(app, ["notifications", *option])
        assert done.exit_code == 0
        assert done.output == (
            "     1  2026-03-04 05:06:07Z  ERROR  h1  compute.libvirt.error  ip='192.0.2.1' reason=\"it's gone\"\n"
        )


def test_without_a_database_it_is_one_sentence(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["notifications", "--state-path", str(tmp_path)])
    assert isinstance(done.exception, StateError)
    assert "There is no database" in done.exception.message
