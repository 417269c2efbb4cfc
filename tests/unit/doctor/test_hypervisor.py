# SPDX-License-Identifier: Apache-2.0
"""libvirt: dead sockets, and a private daemon that is frozen; what a survey is judged as."""

import asyncio
import os
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.doctor import hypervisor, subject, table
from kilonova.doctor.examine import judge_survey
from kilonova.doctor.finding import Finding, Level
from kilonova.doctor.subject import Places
from kilonova.virt.libvirt.host.survey import Survey
from lab.libvirtd import PrivateLibvirtd
from tests.contract.drivers import private_daemon
from tests.make import run
from tests.unit.doctor.arranged import subject as host_at

GOOD = Survey("QEMU", 9_000_000, 7_002_000, 9_000_000, "12.8.0", True, 0, (), None, False, None)


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="kn-") as directory:
        yield Path(directory)


def at_socket(path: Path) -> Finding:
    uri = f"qemu+unix:///session?socket={path}"
    return hypervisor.libvirt_socket(host_at(path.parent, libvirt__connection_uri=uri))


def test_a_socket_that_is_not_there(short: Path) -> None:
    assert at_socket(short / "none").level is Level.ERROR


def test_a_socket_whose_daemon_died(short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short / "sock"))
    found = at_socket(short / "sock")
    assert found.level is Level.ERROR
    assert "no process listens" in found.found


def test_a_socket_that_takes_nobody(short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as waiting:
        server.bind(str(short / "sock"))
        server.listen(0)
        waiting.connect(str(short / "sock"))
        found = at_socket(short / "sock")
    assert "it hangs" in found.found


def test_a_socket_that_listens(short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short / "sock"))
        server.listen()
        found = at_socket(short / "sock")
    assert found.level is Level.OK
    assert found.facts["pid"] == os.getpid()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives root up")
def test_a_socket_of_others(short: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(short / "sock"))
        server.listen()
        (short / "sock").chmod(0o600)
        short.chmod(0o711)
        os.seteuid(65534)
        try:
            found = at_socket(short / "sock")
        finally:
            os.seteuid(0)
    assert found.level is Level.ERROR
    assert found.cure.startswith("usermod -aG ")


def test_where_daemons_listen(tmp_path: Path) -> None:
    places = Places(libvirt_run=tmp_path)
    system = host_at(tmp_path, places, libvirt__connection_uri="qemu:///system")
    assert hypervisor.socket_path(system) == tmp_path / "libvirt-sock"
    (tmp_path / "virtqemud-sock").touch()
    assert hypervisor.socket_path(system) == tmp_path / "virtqemud-sock"
    for uri in ("test:///default", "qemu+ssh://host/system", "qemu:///embed?root=/x"):
        assert hypervisor.socket_path(host_at(tmp_path, libvirt__connection_uri=uri)) is None


@pytest.mark.parametrize(
    ("ours", "theirs", "level"), [(5, 5, Level.OK), (4, 5, Level.OK), (6, 5, Level.ERROR), (20, 20, Level.OK)]
)
def test_calls_in_flight(ours: int, theirs: int, level: Level) -> None:
    assert hypervisor.judge_requests(ours, theirs, True).level is level


def test_the_daemons_own_limit_and_user_are_read(tmp_path: Path) -> None:
    (tmp_path / "libvirtd.conf").write_text("#max_client_requests = 7\nmax_client_requests = 3  # few\n")
    (tmp_path / "qemu.conf").write_text('user = "root"\n')
    host = host_at(tmp_path, Places(libvirt_etc=tmp_path), libvirt__connection_uri="qemu:///system")
    found = hypervisor.requests(host)
    assert (found.level, found.facts["daemon"]) == (Level.ERROR, 3)
    user = subject.qemu_user(host)
    assert user is not None
    assert user.uid == 0
    (tmp_path / "qemu.conf").write_text('user = "nobody-of-that-name"\n')
    assert subject.qemu_user(host) is None


@pytest.mark.parametrize(
    ("survey", "check", "level"),
    [
        (GOOD, "libvirt-version", Level.OK),
        (replace(GOOD, too_old="libvirt 8.0.0 is older than 9.0.0"), "libvirt-version", Level.ERROR),
        (replace(GOOD, client=8_000_000), "libvirt-version", Level.ERROR),
        (replace(GOOD, client=9_005_000), "libvirt-version", Level.NOTE),
        (GOOD, "libvirt-keepalive", Level.OK),
        (replace(GOOD, keepalive=False), "libvirt-keepalive", Level.NOTE),
        (replace(GOOD, keepalive=None), "libvirt-keepalive", Level.WARNING),
    ],
)
def test_what_libvirt_says_of_itself(tmp_path: Path, survey: Survey, check: str, level: Level) -> None:
    findings = judge_survey(host_at(tmp_path), table.ON_SURVEY, survey)
    assert next(found for found in findings if found.check == check).level is level


def test_no_survey_is_one_error(tmp_path: Path) -> None:
    findings = judge_survey(host_at(tmp_path), table.ON_SURVEY, "connection refused")
    assert [found.check for found in findings] == [check.name for check in table.ON_SURVEY]
    assert [found.check for found in findings if found.level is Level.ERROR] == ["libvirt"]
    assert all(found.level is Level.NOTE for found in findings[1:3])  # nobody but libvirt knows


def test_a_refusal_of_the_password_names_the_auth_file(tmp_path: Path) -> None:
    said = "authentication failed: authentication failed"
    assert "auth_file" in judge_survey(host_at(tmp_path), table.ON_SURVEY, said)[0].cure


def test_a_driver_inside_our_process_has_no_keepalive(tmp_path: Path) -> None:
    host = host_at(tmp_path, libvirt__connection_uri="test:///default")
    findings = {found.check: found for found in asyncio.run(table.examine(host))}
    assert findings["libvirt"].level is Level.OK
    assert findings["libvirt-keepalive"].level is Level.NOTE
    assert findings["libvirt-socket"].level is Level.OK


@pytest.fixture(scope="module")
def daemon() -> Iterator[PrivateLibvirtd]:
    with private_daemon() as running:
        yield running


@pytest.mark.live
def test_a_daemon_that_answers(daemon: PrivateLibvirtd, tmp_path: Path) -> None:
    host = host_at(tmp_path, libvirt__connection_uri=daemon.uri)
    findings = {found.check: found for found in asyncio.run(table.examine(host))}
    for check in ("libvirt", "libvirt-socket", "libvirt-version", "libvirt-keepalive"):
        assert findings[check].level is Level.OK, findings[check]


@pytest.mark.live
def test_the_configuration_of_a_daemon_is_its_own(daemon: PrivateLibvirtd, tmp_path: Path) -> None:
    host = host_at(tmp_path, libvirt__connection_uri=daemon.uri)
    assert hypervisor.config_files(host) == [daemon.directory / "libvirtd.conf"]


@pytest.mark.live
def test_a_frozen_daemon_hangs_nothing_and_is_named(daemon: PrivateLibvirtd, tmp_path: Path) -> None:
    host = host_at(tmp_path, libvirt__connection_uri=daemon.uri)
    pid = daemon.pid
    daemon.freeze()
    try:
        findings = {found.check: found for found in run(table.examine(host))}
    finally:
        daemon.thaw()
    assert findings["libvirt"].level is Level.ERROR
    assert "is stopped" in findings["libvirt"].found  # and so it was not waited for
    assert findings["libvirt-socket"].cure == f"kill -CONT {pid}"
    assert findings["disk-space"].level is not Level.ERROR  # the others were looked at all the same


def test_a_guest_that_hangs_in_its_start_is_named_with_the_way_out(tmp_path: Path) -> None:
    looked_at = host_at(tmp_path)
    assert hypervisor.stuck_guests(looked_at, GOOD).level is Level.OK
    found = hypervisor.stuck_guests(looked_at, replace(GOOD, starting_up=("kilonova-1", "other")))
    assert (found.level, found.facts["guests"]) == (Level.WARNING, ["kilonova-1", "other"])
    assert "remove kilonova-1.xml" in found.cure
