# SPDX-License-Identifier: Apache-2.0
"""`kilonova install`: the one box as a service of this machine."""

import os
import sys
import sysconfig
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from kilonova.base.errors import StateError
from kilonova.cmd.machine import Machine, closed_to_others, groups_of, has_user

USER = "kilonova"
GROUPS = ("libvirt", "kvm")
STATE, ETC = "/var/lib/kilonova", "/etc/kilonova"
CONFIG, CLOUDS = f"{ETC}/kilonova.conf", f"{STATE}/clouds.yaml"
UNIT = "kilonova.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
NOLOGIN = "/usr/sbin/nologin"

CONFIG_TEXT = f"""\
# Configuration of Kilonova. An installation does not change this file.
[DEFAULT]
state_path = {STATE}

[libvirt]
connection_uri = qemu:///system

[api]
listen = 127.0.0.1
port = 8774
"""


def install(
    root: Annotated[Path, typer.Option(help="Write below this directory, to build a package.")] = Path("/"),
    dry_run: Annotated[bool, typer.Option(help="Show the changes without making them.")] = False,
    uninstall: Annotated[bool, typer.Option(help="Remove the service; data and configuration stay.")] = False,
) -> None:
    """Install the one box as a service of this machine: a user, a state directory, a configuration, a systemd unit.

    Prints each change, and makes only the changes that are missing: a second run changes nothing.  The unit runs the
    Python environment of this command.
    """
    machine = Machine(root.absolute(), dry_run)
    if machine.real and os.geteuid() != 0 and not dry_run:
        raise StateError("Only root can install a service. To run virtual machines without a service: kilonova up.")
    if uninstall:
        _uninstall(machine)
        return
    program = Path(sysconfig.get_path("scripts")) / "kilonova"
    if machine.real:
        _refuse_if_hidden(program)
        _user(machine)
    else:
        machine.report("left out", f"the user {USER}: created on the target machine (by a package, or by this command)")
    machine.directory(STATE, 0o711, USER)
    machine.directory(ETC, 0o755)
    machine.file(CONFIG, CONFIG_TEXT, 0o640, USER, keep=True)
    machine.own(list(_service_files(machine.place(STATE))) if machine.real else [], USER, STATE)
    before = len(machine.changed)
    machine.file(UNIT_FILE, unit_text(program), 0o644)
    if machine.has_systemd:
        if len(machine.changed) > before:
            machine.run("systemd", ["systemctl", "daemon-reload"])
        print(f"Start it now and at each boot: systemctl enable --now {UNIT}")
    elif machine.real:
        print(f"systemd does not run on this machine. Start the service as root:\n  {by_hand(program)}")
    print(
        f"Credentials are in {CLOUDS} after the first start; `kilonova doctor --config-file {CONFIG}` checks the host."
    )


def unit_text(program: Path) -> str:
    """The systemd unit of the one box for this environment."""
    text = (files("kilonova.cmd") / "systemd" / UNIT).read_text(encoding="utf-8")
    path = str(program).replace("%", "%%")
    if any(character in path for character in "\"'\\\n\t ;$"):
        raise StateError(f"systemd does not accept the path {program}: install into a path without special characters.")
    return text.replace("/usr/bin/kilonova", path)


def by_hand(program: Path) -> str:
    """The command that does the same as the unit, for a machine without systemd."""
    reading = "-all,+dac_read_search"
    return (
        f"setpriv --reuid={USER} --regid={USER} --init-groups --inh-caps={reading} --ambient-caps={reading} "
        f"{program} up --config-file {CONFIG} --clouds-file {CLOUDS}"
    )


def _refuse_if_hidden(program: Path) -> None:
    for path in (program, Path(sys.executable), Path(sys.executable).resolve(), Path(__file__).resolve()):
        if (closed := closed_to_others(path)) is not None:
            raise StateError(
                f"The user {USER} cannot run {path}: other users have no access to {closed}; "
                "install into an environment in another place, such as /opt/kilonova."
            )


def _user(machine: Machine) -> None:
    if has_user(USER):
        machine.report("unchanged", f"user {USER}")
    else:
        account = ["--system", "--user-group", "--no-create-home", "--home-dir", STATE, "--shell", NOLOGIN]
        machine.run("user", ["useradd", *account, USER])
    groups = groups_of(USER)
    for group in GROUPS:
        if group not in groups:
            machine.report("missing", f"group {group}: install libvirt and QEMU, and repeat this command")
        elif groups[group]:
            machine.report("unchanged", f"user {USER} in group {group}")
        else:
            machine.run("group", ["usermod", "--append", "--groups", group, USER])


def _service_files(state: Path) -> Iterable[Path]:
    """Files of an earlier run by root that the service must own.  Files of guests belong to the QEMU user."""
    for directory, names, entries in os.walk(state):
        guests = Path(directory).is_relative_to(state / "instances")
        yield from (Path(directory) / name for name in (names if guests else (*names, *entries)))


def _uninstall(machine: Machine) -> None:
    if machine.has_systemd and machine.place(UNIT_FILE).exists():
        machine.run("systemd", ["systemctl", "disable", "--now", UNIT])
    machine.gone(UNIT_FILE)
    if machine.has_systemd and machine.changed:
        machine.run("systemd", ["systemctl", "daemon-reload"])
    machine.report("kept", f"{STATE}: the database, images, guest disks; guests keep running")
    machine.report("kept", f"{CONFIG}, and the user {USER}")
