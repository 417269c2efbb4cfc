# SPDX-License-Identifier: Apache-2.0
"""The wheel in an environment of its own, installed as a service and run as that service's user."""

import grp
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Generator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from kilonova.cmd.install import GROUPS
from kilonova.ui.assets import STATIC
from lab.cloud import free_port
from lab.common import TOP, VENV, LabError
from lab.counting import cannot_run
from lab.pieces import TOOLS, build_environment
from lab.system_libvirtd import PrivateSystemLibvirtd
from tests.live.box import GUEST_IMAGE, libvirt_box, wait_for
from tests.live.test_screens import first_picture
from tests.rfb import colours

pytestmark = pytest.mark.live

# $1 a directory of ours; then what to run.  The machine's users, configuration and state are a copy in here.
APART = """set -e
directory=$1; shift
mkdir -p "$directory/etc" "$directory/lib"
[ -e "$directory/etc/passwd" ] || cp -a /etc/. "$directory/etc"
chmod 755 "$directory/etc" "$directory/lib"
mount --bind "$directory/etc" /etc
mount --bind "$directory/lib" /var/lib
exec "$@"
"""


@pytest.fixture(scope="module")
def environment() -> Generator[Path]:
    """An environment with the pinned requirements and the wheel, on the system's Python, where everybody can pass."""
    with tempfile.TemporaryDirectory(prefix="kn") as made:
        directory = Path(made)
        directory.chmod(0o755)
        run(VENV / "bin/hatchling", "build", "-t", "wheel", "-d", directory, cwd=TOP)
        (wheel,) = directory.glob("*.whl")
        uv, place = TOOLS / "bin/uv", directory / "v"
        python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
        run(uv, "venv", "--quiet", "--python", python, place)
        install = (uv, "pip", "install", "--quiet", "--python", place / "bin/python")
        try:
            run(*install, "--require-hashes", "-r", TOP / "requirements/base.txt")
        except subprocess.CalledProcessError as error:
            cannot_run(f"the requirements cannot be installed: {error.stderr.strip().splitlines()[-1]}")
        run(*install, "--no-deps", "--offline", wheel)
        yield place


def test_the_wheel_has_every_file_of_the_page(environment: Path) -> None:
    (wheel,) = environment.parent.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if name.startswith("kilonova/ui/static/")}
    assert packed == {f"kilonova/ui/static/{path.relative_to(STATIC)}" for path in STATIC.rglob("*") if path.is_file()}


def run(*argv: str | Path, cwd: Path | None = None) -> str:
    """A command that succeeds; what it printed."""
    words = [str(word) for word in argv]
    env = {name: value for name, value in build_environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
    return done.stdout


def snapshot(root: Path) -> list[tuple[str, int, int, bytes]]:
    return [
        (str(path), path.lstat().st_mode, path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(root.rglob("*"))
    ]


def test_below_a_directory_twice_changes_nothing_and_systemd_takes_the_unit(environment: Path, tmp_path: Path) -> None:
    kilonova = environment / "bin/kilonova"
    said = run(kilonova, "install", "--root", tmp_path, "--dry-run")
    assert "would: file" in said
    assert list(tmp_path.iterdir()) == []
    run(kilonova, "install", "--root", tmp_path)
    before = snapshot(tmp_path)
    again = run(kilonova, "install", "--root", tmp_path)
    assert snapshot(tmp_path) == before
    assert again.count("unchanged") == 4
    unit = tmp_path / "etc/systemd/system/kilonova.service"
    assert f"\nExecStart={kilonova} up --config-file" in unit.read_text()
    if shutil.which("systemd-analyze"):
        run("systemd-analyze", "verify", unit)

    (tmp_path / "etc/kilonova/kilonova.conf").write_text("# mine\n")
    unit.write_text("[Unit]\n# of an older version\n")
    assert "updated" in run(kilonova, "install", "--root", tmp_path)
    assert f"ExecStart={kilonova}" in unit.read_text()
    said = run(kilonova, "install", "--root", tmp_path, "--uninstall")
    assert "kept         /var/lib/kilonova" in said
    assert not unit.exists()
    assert (tmp_path / "etc/kilonova/kilonova.conf").read_text() == "# mine\n"
    assert (tmp_path / "var/lib/kilonova").is_dir()


def test_on_a_machine_without_systemd_and_run_as_it_says(environment: Path) -> None:
    if os.geteuid() != 0:
        cannot_run("only root can install a service")
    kilonova, directory = environment / "bin/kilonova", environment.parent / "m"
    apart = ("unshare", "--mount", "--propagation", "private", "sh", "-c", APART, "sh", str(directory))
    first = run(*apart, kilonova, "install")
    assert re.search(r"^user +useradd", first, re.MULTILINE)
    if Path("/run/systemd/system").is_dir():
        cannot_run("systemd runs this machine, and is not to hear of this")
    assert "systemd does not run on this machine" in first
    again = run(*apart, kilonova, "install")
    assert not [
        line for line in again.splitlines() if line.startswith(("user ", "group ", "file", "directory", "given"))
    ]

    port = free_port()
    config = directory / "etc/kilonova/kilonova.conf"
    config.write_text(
        config.read_text()
        .replace("8774", str(port))
        .replace("[libvirt]", "compute_driver = fake.FakeDriver\n[libvirt]")
    )
    command = next(line.split() for line in first.splitlines() if line.lstrip().startswith("setpriv "))
    with (directory / "log").open("w") as log:
        process = subprocess.Popen([*apart, *command], stdout=log, stderr=log, cwd="/")
    try:
        last_words = lambda: (directory / "log").read_text()[-2000:]  # noqa: E731
        url = f"http://127.0.0.1:{port}/readyz"
        wait_for(lambda: process.poll() is not None or answers(url), why=last_words)
        assert process.poll() is None, last_words()
        owner = (directory / "lib/kilonova").stat().st_uid
        assert owner != 0
        assert Path(f"/proc/{process.pid}").stat().st_uid == owner
        for name, mode in (("clouds.yaml", 0o600), ("kilonova.db", 0o600), ("token.key", 0o600)):
            found = (directory / "lib/kilonova" / name).stat()
            assert (found.st_uid, found.st_mode & 0o777) == (owner, mode)
        password = re.search(r"password: (\S+)", (directory / "lib/kilonova/clouds.yaml").read_text())
        assert password is not None
        assert password[1] not in (directory / "log").read_text()
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=40) == 0
    said = run(*apart, kilonova, "install", "--uninstall")
    assert "kept         /var/lib/kilonova" in said
    assert (directory / "lib/kilonova/kilonova.db").exists()


def test_the_services_user_runs_guests_on_a_system_daemon_and_reads_their_consoles(environment: Path) -> None:
    """With the rights of the unit: the groups of libvirt and of /dev/kvm, and reading what is root's."""
    try:
        groups = ",".join(str(grp.getgrnam(name).gr_gid) for name in GROUPS)
        with tempfile.TemporaryDirectory(prefix="kn") as made:
            directory = Path(made)
            daemon = PrivateSystemLibvirtd(directory / "l")
            daemon.start()
            try:
                _as_the_services_user(daemon, environment, groups)
            finally:
                daemon.stop()
    except (KeyError, LabError) as error:
        cannot_run(str(error))


def _as_the_services_user(daemon: PrivateSystemLibvirtd, environment: Path, groups: str) -> None:
    directory = daemon.directory.parent
    uid, reading = "998", "-all,+dac_read_search"
    place = Path(parse_qs(urlsplit(daemon.uri).query)["socket"][0])
    shutil.chown(place, group="libvirt")
    place.chmod(0o770)  # as a distribution's own daemon has it
    directory.chmod(0o755)
    state = directory / "state"
    state.mkdir(mode=0o711)
    for path in (directory, state):
        os.chown(path, int(uid), int(uid))
    with libvirt_box(daemon) as box:
        box.wrapper = ("setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={groups}", f"--inh-caps={reading}",
                       f"--ambient-caps={reading}", f"--bounding-set={reading}", "--no-new-privs")  # fmt: skip
        box.program = (str(environment / "bin/kilonova"),)
        server_id = box.start().ready().create(box.upload(GUEST_IMAGE), "modest")
        box.wait_status(server_id, "ACTIVE")
        said = lambda: str(box.act(server_id, {"os-getConsoleOutput": {}}, 200)["output"])  # noqa: E731
        wait_for(lambda: "hostname=modest" in said(), within_s=90, why=said)
        assert (state / "instances" / server_id / "console.log").stat().st_uid == 0
        assert len(colours(first_picture(box, server_id))) > 1  # QEMU has another user than the service
        for status in ("ACTIVE", "SHUTOFF"):  # the copy is QEMU's file, then one of ours
            image = box.act(server_id, {"createImage": {"name": status}})["image_id"]
            box.wait_status(server_id, status)
            assert box.http.get(f"/image/v2/images/{image}").json()["status"] == "active", status
            if status == "ACTIVE":
                box.act(server_id, {"os-stop": None})
                box.wait_status(server_id, "SHUTOFF", 90)
        box.act(server_id, {"reboot": {"type": "HARD"}})
        box.wait_status(server_id, "ACTIVE")
        box.delete(server_id)
        assert box.files_of(server_id) == []


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False
