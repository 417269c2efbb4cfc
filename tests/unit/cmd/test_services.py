# SPDX-License-Identifier: Apache-2.0
"""What kilonova-compute and kilonova-conductor do before and around serving."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.errors import StateError
from kilonova.cmd.common import prepare_state
from kilonova.cmd.compute import DatabaseForbidden, DatabaseGuard, without_database
from kilonova.cmd.service import announce, read, unknown_options
from kilonova.config.load import load

NOVA_CONF = """
[DEFAULT]
host = h1
transport_url = nats://h
rpc_response_timeout = 60
reserved-host-memory-mb = 1
[Libvirt]
virt_type = qemu
inject_key = true
[oslo_messaging_rabbit]
ssl = true
ssl = false
"""


def test_a_directory_of_files_comes_after_the_file_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "nova.conf").write_text("[DEFAULT]\nhost = first\nmy_ip = 192.0.2.1\n")
    (tmp_path / "nova.conf.d").mkdir()
    (tmp_path / "nova.conf.d/10-a.conf").write_text("[DEFAULT]\nhost = second\n[libvirt]\nvirt_type = test\n")
    (tmp_path / "nova.conf.d/20-b.conf").write_text("[DEFAULT]\nhost = third\n")
    (tmp_path / "nova.conf.d/notes.txt").write_text("[DEFAULT]\nhost = nobody\n")
    words = ["--config-file", str(tmp_path / "nova.conf"), "--config-dir", str(tmp_path / "nova.conf.d")]
    settings = read("kilonova-compute", words)
    assert (settings.default.host, settings.default.my_ip) == ("third", "192.0.2.1")
    assert settings.libvirt.virt_type == "test"


def test_options_that_we_do_not_have(tmp_path: Path) -> None:
    file, directory = tmp_path / "nova.conf", tmp_path / "d"
    file.write_text(NOVA_CONF)
    directory.mkdir()
    (directory / "1.conf").write_text("[spice]\nenabled = 1\n[network]\nname = n\n")
    (directory / "not-read.txt").write_text("[nobody]\nreads = this\n")
    assert unknown_options([str(file)], [str(directory)]) == (
        "DEFAULT.rpc_response_timeout",
        "Libvirt.inject_key",
        "oslo_messaging_rabbit.ssl",
        "spice.enabled",
    )
    assert load([str(file)], [str(directory)]).network.name == "n"


@pytest.mark.parametrize(
    "name", ["kilonova.db", "kilonova.db.engine", "kilonova.conductor", "sqlalchemy.orm", "alembic"]
)
def test_the_guard_refuses_the_database(name: str) -> None:
    with pytest.raises(DatabaseForbidden, match=f"{name} must not be imported in kilonova-compute"):
        DatabaseGuard().find_spec(name)


@pytest.mark.parametrize(
    "name", ["kilonova", "kilonova.dbx", "kilonova.rpcapi.api_to_conductor", "sqlite3", "sqlalchemyish"]
)
def test_the_guard_leaves_the_rest_alone(name: str) -> None:
    assert DatabaseGuard().find_spec(name) is None


def test_an_attempt_to_import_the_database_raises() -> None:
    code = "from kilonova.cmd.compute import forbid_database as f; f(); f(); import kilonova.wiring; import kilonova.db"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "DatabaseForbidden: kilonova.db must not be imported in kilonova-compute" in done.stderr


def test_a_host_has_no_url_of_a_database() -> None:
    settings = load(overrides={("database", "connection"): "mysql://n:p@h/nova", ("database", "readers"): 5})
    assert (without_database(settings).database.connection, without_database(settings).database.readers) == ("", 5)


def test_roles_share_a_state_directory_and_the_one_box_does_not(tmp_path: Path) -> None:
    with prepare_state(tmp_path, "compute"), prepare_state(tmp_path, "conductor"):
        for role in (None, "compute", "conductor"):
            with pytest.raises(StateError, match="Another kilonova"):
                prepare_state(tmp_path, role)
    with prepare_state(tmp_path), pytest.raises(StateError, match="Another kilonova"):
        prepare_state(tmp_path, "compute")


def test_ready_is_said_once_and_only_when_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter([(False, "a"), (False, "a"), (False, "b"), (True, "")])
    asyncio.run(announce("x", lambda: next(answers), SystemClock()))
    assert capsys.readouterr().out == "x ready\n"
