# SPDX-License-Identifier: Apache-2.0
"""What an installation refuses, and what it leaves to its owner."""

import os
import sysconfig
from pathlib import Path

import pytest

from kilonova.base.errors import StateError
from kilonova.cmd.install import CONFIG, SERVICES, Role, by_hand, install, unit_text
from kilonova.cmd.machine import Machine, closed_to_others
from kilonova.cmd.service import unknown_options
from kilonova.config.load import load


def test_a_path_that_systemd_would_take_apart_is_refused() -> None:
    assert "ExecStart=/opt/a%%b/bin/kilonova up " in unit_text(Path("/opt/a%b/bin/kilonova"), "kilonova.service")
    for odd in ("/opt/a b/kilonova", "/opt/$HOME/kilonova", '/opt/"/kilonova', "/opt/a\nUser=root"):
        with pytest.raises(StateError, match="systemd does not accept"):
            unit_text(Path(odd), "kilonova.service")


def test_a_closed_directory_on_the_way_is_found(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    inner = tmp_path / "closed" / "open"
    inner.mkdir(parents=True)
    (tmp_path / "closed").chmod(0o700)
    first = closed_to_others(inner / "program")
    assert first is not None
    assert first in (tmp_path / "closed", *tmp_path.parents)


def test_a_dry_run_says_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine(tmp_path, dry_run=True)
    machine.directory("/a", 0o755)
    machine.file("/a/b", "text", 0o644)
    machine.gone("/a/c")
    machine.run("command", ["false"])
    assert list(tmp_path.iterdir()) == []
    out = capsys.readouterr().out
    assert [line.split()[:2] for line in out.splitlines()] == [
        ["would:", "directory"],
        ["would:", "file"],
        ["missing", "/a/c"],
        ["would:", "command"],
    ]


def test_a_failure_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"directory /file/below: .*Not a directory"):
        Machine(tmp_path).directory("/file/below", 0o755)
    with pytest.raises(StateError, match=r"command sh -c .*: status 3, why not"):
        Machine(tmp_path).run("command", ["sh", "-c", "echo why not >&2; exit 3"])


def test_what_is_wrong_is_put_right_and_what_is_kept_is_kept(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "d").mkdir(mode=0o700)
    machine.directory("/d", 0o711)
    assert os.stat(tmp_path / "d").st_mode & 0o777 == 0o711
    for keep, expected in ((True, "mine"), (False, "theirs")):
        (tmp_path / "f").write_text("mine")
        machine.file("/f", "theirs", 0o640, keep=keep)
        assert (tmp_path / "f").read_text() == expected
    assert os.stat(tmp_path / "f").st_mode & 0o777 == 0o640
    assert machine.changed == ["/d", "/f"]


def changes(said: str) -> str:
    """The lines about files and directories that were made."""
    return "\n".join(line for line in said.splitlines() if line.startswith(("file ", "directory ")))


FLEET = (Role.API, Role.CONDUCTOR, Role.COMPUTE)


@pytest.mark.parametrize("role", Role)
def test_each_role_has_its_unit_and_a_configuration_that_can_be_read(
    role: Role, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = SERVICES[role]
    install(tmp_path, role=[role])
    assert service.unit in changes(capsys.readouterr().out)
    unit = (tmp_path / service.unit_file.lstrip("/")).read_text()
    assert f"ExecStart={Path(sysconfig.get_path('scripts'))}/{service.program} {service.words}\n" in unit
    assert by_hand(Path("/opt/x"), service).endswith(f" /opt/x {service.words}")
    file = tmp_path / CONFIG.lstrip("/")
    settings = load([str(file)])
    assert unknown_options([str(file)], []) == ()
    assert settings.default.transport_url == ""
    assert ("transport_url" in file.read_text()) == (role in FLEET)
    assert (tmp_path / service.own_config.lstrip("/")).exists() == (role in FLEET or service.own_config == CONFIG)
    install(tmp_path, role=[role])
    assert changes(capsys.readouterr().out) == ""
    install(tmp_path, role=[role], uninstall=True)
    assert not (tmp_path / service.unit_file.lstrip("/")).exists()
    assert file.exists()


def test_roles_of_a_fleet_share_a_machine_and_the_one_box_shares_with_none(tmp_path: Path) -> None:
    for role in FLEET:
        install(tmp_path, role=[role])
    with pytest.raises(StateError, match="Processes of a fleet are installed on this machine"):
        install(tmp_path)
    install(tmp_path, role=list(FLEET), uninstall=True)
    with pytest.raises(StateError, match="shares its state directory with no other process"):
        install(tmp_path, role=[Role.API, Role.ONE_BOX])
    install(tmp_path)
    for role in FLEET:
        with pytest.raises(StateError, match="The one box is installed on this machine"):
            install(tmp_path, role=[role])


_CREDENTIALS = "transport_credentials = /"


def test_processes_of_one_machine_share_a_configuration_and_differ_in_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [Role.API, Role.CONDUCTOR]
    install(tmp_path, role=both)
    assert "/etc/kilonova/kilonova-ROLE.conf" in capsys.readouterr().out
    common = tmp_path / CONFIG.lstrip("/")
    assert all(f"[{section}]" in common.read_text() for section in ("DEFAULT", "database", "api"))
    common.write_text(common.read_text().replace("transport_url =", "transport_url = nats://127.0.0.1:4222"))
    for role in both:
        own = tmp_path / SERVICES[role].own_config.lstrip("/")
        own.write_text(own.read_text().replace("# transport_credentials = /etc/kilonova/NAME", _CREDENTIALS + role))
    install(tmp_path, role=both)
    assert changes(capsys.readouterr().out) == ""
    for role in both:
        words = SERVICES[role].words.split()
        assert words[::2] == ["--config-file", "--config-file"]
        files = [str(tmp_path / word.lstrip("/")) for word in words[1::2]]
        settings = load(files).default
        assert settings.transport_credentials == f"/{role}.kilonova"
        assert settings.transport_url == "nats://127.0.0.1:4222"
        assert unknown_options(files, []) == ()
