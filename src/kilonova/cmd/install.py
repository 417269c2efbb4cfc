# SPDX-License-Identifier: Apache-2.0
"""`kilonova install`: the one box, or the processes of a fleet, as services of this machine."""

import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
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
NOLOGIN = "/usr/sbin/nologin"

_HEAD = f"""\
# Configuration of Kilonova. An installation does not change this file.
[DEFAULT]
state_path = {STATE}
"""
_OWN = f"""\
# What only this process of the machine has. Its values replace those of {CONFIG}, which all processes read.
[DEFAULT]
# Processes of different roles have credentials of their own:
# transport_credentials = /etc/kilonova/NAME.kilonova
# status_listen = 127.0.0.1:PORT
"""
_BUS = """\
# The NATS servers of the fleet: nats://user:password@host1:4222,host2:4222
transport_url =
# Or a file from `kilonova host enroll` or `kilonova bus credentials`, which also has the addresses and the CA:
# transport_credentials = /etc/kilonova/NAME.kilonova
"""
_DATABASE = """\

[database]
# The database of the fleet. Empty: SQLite in the state directory, for a fleet whose API processes and conductors run
# on this machine.
connection =
"""
_LIBVIRT = """\

[libvirt]
connection_uri = qemu:///system
"""
_API = """\

[api]
listen = 127.0.0.1
port = 8774
"""
_BALANCER = """\
# With a balancer in front of several API processes: its URL, such as https://cloud.example.org
public_endpoint =
"""


class Role(StrEnum):
    """The kinds of processes that a machine can run."""

    ONE_BOX = "one-box"
    API = "api"
    CONDUCTOR = "conductor"
    COMPUTE = "compute"


@dataclass(frozen=True, slots=True)
class Service:
    """What a role installs: a console script, a unit of the same name, and the sections of the configuration that it
    needs.  `in_fleet`: the process shares the configuration of its machine with others, and has a file of its own."""

    program: str
    sections: tuple[str, ...]
    in_fleet: bool = True
    groups: tuple[str, ...] = ()
    capabilities: str = "-all"

    @property
    def own_config(self) -> str:
        """The configuration of this process alone."""
        return f"{ETC}/{self.program}.conf"

    @property
    def words(self) -> str:
        """The arguments of the program."""
        return f"{_CONFIGURED} --config-file {self.own_config}" if self.in_fleet else _ONE_BOX

    @property
    def unit(self) -> str:
        """The name of the unit."""
        return f"{self.program}.service"

    @property
    def unit_file(self) -> str:
        """The file of the unit."""
        return f"/etc/systemd/system/{self.unit}"


_READING = "-all,+dac_read_search"
_CONFIGURED = f"--config-file {CONFIG}"
_ONE_BOX = f"up {_CONFIGURED} --clouds-file {CLOUDS}"

SERVICES: Mapping[Role, Service] = {
    Role.ONE_BOX: Service("kilonova", (_LIBVIRT, _API), False, GROUPS, _READING),
    Role.API: Service("kilonova-api", (_BUS, _DATABASE, _API, _BALANCER)),
    Role.CONDUCTOR: Service("kilonova-conductor", (_BUS, _DATABASE)),
    Role.COMPUTE: Service("kilonova-compute", (_BUS, _LIBVIRT), True, GROUPS, _READING),
}
SECTIONS = (_BUS, _DATABASE, _LIBVIRT, _API, _BALANCER)
"""The parts of the configuration, in their order."""


def install(
    root: Annotated[Path, typer.Option(help="Write below this directory, to build a package.")] = Path("/"),
    dry_run: Annotated[bool, typer.Option(help="Show the changes without making them.")] = False,
    uninstall: Annotated[bool, typer.Option(help="Remove the service; data and configuration stay.")] = False,
    role: Annotated[
        list[Role] | None, typer.Option(help="A process of a fleet; may be repeated.  Without it: all in one process.")
    ] = None,
) -> None:
    """Install Kilonova as a service of this machine: a user, a state directory, a configuration, a systemd unit.

    Prints each change, and makes only the changes that are missing: a second run changes nothing.  The unit runs the
    Python environment of this command.  A machine can have several processes of a fleet: give several roles, or run it
    again.  All processes of a machine read one configuration file, and then a file of their own; the first run writes
    them.
    """
    roles = tuple(dict.fromkeys(role or [Role.ONE_BOX]))
    services = [SERVICES[one] for one in roles]
    machine = Machine(root.absolute(), dry_run)
    if machine.real and os.geteuid() != 0 and not dry_run:
        raise StateError("Only root can install a service. To run virtual machines without a service: kilonova up.")
    if uninstall:
        _uninstall(machine, services)
        return
    _refuse_two_kinds(machine, roles)
    if machine.real:
        for service in services:
            _refuse_if_hidden(_program(service))
        _user(machine, sorted({group for service in services for group in service.groups}))
    else:
        machine.report("left out", f"the user {USER}: created on the target machine (by a package, or by this command)")
    machine.directory(STATE, 0o711, USER)
    machine.directory(ETC, 0o755)
    machine.file(CONFIG, configuration(services), 0o640, USER, keep=True)
    machine.own(list(_service_files(machine.place(STATE))) if machine.real else [], USER, STATE)
    _units(machine, services)
    print(_next_steps(roles))


def configuration(services: Sequence[Service]) -> str:
    """The first configuration of a machine with these services."""
    wanted = {section for service in services for section in service.sections}
    return _HEAD + "".join(section for section in SECTIONS if section in wanted)


def _program(service: Service) -> Path:
    return Path(sysconfig.get_path("scripts")) / service.program


def _units(machine: Machine, services: Sequence[Service]) -> None:
    """The units, with the configuration that each process has alone."""
    before = len(machine.changed)
    for service in services:
        if service.in_fleet:
            machine.file(service.own_config, _OWN, 0o640, USER, keep=True)
        machine.file(service.unit_file, unit_text(_program(service), service.unit), 0o644)
    if machine.has_systemd:
        if len(machine.changed) > before:
            machine.run("systemd", ["systemctl", "daemon-reload"])
        print(f"Start now and at each boot: systemctl enable --now {' '.join(one.unit for one in services)}")
    elif machine.real:
        lines = "\n  ".join(by_hand(_program(service), service) for service in services)
        print(f"systemd does not run on this machine. Start as root:\n  {lines}")


def _next_steps(roles: Sequence[Role]) -> str:
    check = f"`kilonova doctor {_CONFIGURED}` checks the host."
    if Role.ONE_BOX in roles:
        return f"Credentials are in {CLOUDS} after the first start; {check}"
    several = f" What differs between the processes goes into {ETC}/kilonova-ROLE.conf." if len(roles) > 1 else ""
    fill = f"Set transport_credentials or transport_url in {CONFIG} before the start.{several}"
    if roles == (Role.COMPUTE,):
        return f"{fill} {check}"
    return f"{fill} Once for the fleet, after the start of a conductor: kilonova bootstrap {_CONFIGURED}"


def _refuse_two_kinds(machine: Machine, roles: Sequence[Role]) -> None:
    """The one box holds the state directory alone.  Raises StateError."""
    if Role.ONE_BOX in roles and len(roles) > 1:
        raise StateError("The one box shares its state directory with no other process: give other roles, or none.")
    one_box = machine.place(SERVICES[Role.ONE_BOX].unit_file)
    if Role.ONE_BOX not in roles and one_box.exists():
        raise StateError(
            "The one box is installed on this machine, and shares its state directory with no other process: remove it "
            "first with `kilonova install --uninstall`; data and configuration stay."
        )
    fleet = {name: service for name, service in SERVICES.items() if name is not Role.ONE_BOX}
    others = [name for name, service in fleet.items() if machine.place(service.unit_file).exists()]
    if Role.ONE_BOX in roles and others:
        raise StateError(
            f"Processes of a fleet are installed on this machine ({', '.join(others)}), and the one box cannot share "
            f"their state directory: remove them first with `kilonova install --uninstall --role {others[0]}`."
        )


def unit_text(program: Path, unit: str) -> str:
    """The systemd unit for this environment."""
    text = (files("kilonova.cmd") / "systemd" / unit).read_text(encoding="utf-8")
    path = str(program).replace("%", "%%")
    if any(character in path for character in "\"'\\\n\t ;$"):
        raise StateError(f"systemd does not accept the path {program}: install into a path without special characters.")
    return text.replace(f"/usr/bin/{unit.removesuffix('.service')}", path)


def by_hand(program: Path, service: Service) -> str:
    """The command that does the same as the unit, for a machine without systemd."""
    kept = service.capabilities
    rights = f"--inh-caps={kept} --ambient-caps={kept}"
    return f"setpriv --reuid={USER} --regid={USER} --init-groups {rights} {program} {service.words}"


def _refuse_if_hidden(program: Path) -> None:
    for path in (program, Path(sys.executable), Path(sys.executable).resolve(), Path(__file__).resolve()):
        if (closed := closed_to_others(path)) is not None:
            raise StateError(
                f"The user {USER} cannot run {path}: other users have no access to {closed}; "
                "install into an environment in another place, such as /opt/kilonova."
            )


def _user(machine: Machine, wanted: Iterable[str]) -> None:
    if has_user(USER):
        machine.report("unchanged", f"user {USER}")
    else:
        account = ["--system", "--user-group", "--no-create-home", "--home-dir", STATE, "--shell", NOLOGIN]
        machine.run("user", ["useradd", *account, USER])
    groups = groups_of(USER)
    for group in wanted:
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


def _uninstall(machine: Machine, services: Sequence[Service]) -> None:
    for service in services:
        if machine.has_systemd and machine.place(service.unit_file).exists():
            machine.run("systemd", ["systemctl", "disable", "--now", service.unit])
        machine.gone(service.unit_file)
    if machine.has_systemd and machine.changed:
        machine.run("systemd", ["systemctl", "daemon-reload"])
    machine.report("kept", f"{STATE}: the database, images, guest disks; guests keep running")
    machine.report("kept", f"{ETC}, and the user {USER}")
