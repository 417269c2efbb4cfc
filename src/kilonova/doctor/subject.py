# SPDX-License-Identifier: Apache-2.0
"""The subject of the checks: settings, the QEMU user, and the paths of the host's data."""

import grp
import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kilonova.base.errors import ConfigError
from kilonova.config.load import Settings
from kilonova.db.location import database_path
from kilonova.rpc import credentials
from kilonova.virt.libvirt.connection.opening import default_uri
from kilonova.virt.libvirt.network.network import backend_of


@dataclass(frozen=True, slots=True)
class User:
    """A user of this host, with all groups of its processes."""

    name: str
    uid: int
    gids: frozenset[int]

    def may(self, mode: int, uid: int, gid: int, wanted: int) -> bool:
        """Whether the mode bits of a file owned by `uid`:`gid` give the user `wanted` (4 read, 2 write, 1 pass)."""
        if self.uid == 0:
            return True
        shift = 6 if uid == self.uid else 3 if gid in self.gids else 0
        return mode >> shift & wanted == wanted


@dataclass(frozen=True, slots=True)
class Places:
    """The paths of the host's data; tests use their own."""

    kvm: Path = Path("/dev/kvm")
    proc: Path = Path("/proc")
    libvirt_etc: Path = Path("/etc/libvirt")
    libvirt_run: Path = Path("/run/libvirt")


@dataclass(frozen=True, slots=True)
class Subject:
    """The configured host.  `problems` are sentences about the configuration itself."""

    settings: Settings
    uri: str
    backend: str
    places: Places = field(default_factory=Places)
    problems: tuple[str, ...] = ()
    strange: tuple[str, ...] = ()

    @property
    def state(self) -> Path:
        return self.settings.default.state_path

    @property
    def database(self) -> Path:
        """The file of the database, which only a host with a conductor has."""
        return database_path(self.state)

    @property
    def runs_guests(self) -> bool:
        """Whether this is a host.  The credentials of the bus show when it is another process of a fleet."""
        file = self.settings.default.transport_credentials
        try:
            return not file or credentials.read(Path(file)).identity.startswith("host-")
        except ConfigError:
            return True

    @property
    def uses_libvirt(self) -> bool:
        """Whether guests run in libvirt (not with the fake driver)."""
        return self.settings.default.compute_driver.startswith("libvirt")

    @property
    def system_daemon(self) -> bool:
        """Whether a root daemon runs the guests as another user.  For root, qemu:///session is this daemon too."""
        return self.uri.startswith("qemu") and (
            "/system" in self.uri or (os.geteuid() == 0 and "socket=" not in self.uri)
        )


def subject_of(
    settings: Settings, places: Places | None = None, problems: Iterable[str] = (), strange: Iterable[str] = ()
) -> Subject:
    """The subject that `kilonova up` would use with these settings."""
    uri = settings.libvirt.connection_uri or default_uri(settings.libvirt.virt_type)
    backend = backend_of(settings.network.backend, uri)
    return Subject(settings, uri, backend, places or Places(), tuple(problems), tuple(strange))


def user_named(name: str) -> User | None:
    """The user with its groups; None when there is no such name.  A number is an id, as in libvirt."""
    try:
        entry = pwd.getpwuid(int(name.lstrip("+"))) if name.lstrip("+").isdigit() else pwd.getpwnam(name)
    except KeyError:
        return None
    return User(entry.pw_name, entry.pw_uid, frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid)))


def ourselves() -> User:
    """The user of the doctor's process."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    return User(name, os.geteuid(), frozenset((os.getegid(), *os.getgroups())))


def owner_of(path: Path) -> str:
    """The name of the owner, or the number when there is no name.  Raises OSError."""
    uid = path.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The group's name, or its number when it has no name."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def option(path: Path, name: str) -> str | None:
    """The value of `name = value` in a libvirt file; None when it is not set or the file is not readable."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        key, equals, value = line.partition("=")
        if equals and key.strip() == name:
            return value.split("#")[0].strip().strip('"')
    return None


DISTRIBUTIONS = ("libvirt-qemu", "qemu")
"""The names of the QEMU user on Debian and Fedora."""


def qemu_user(subject: Subject) -> User | None:
    """The user that guests run as.  With a system daemon: from qemu.conf or the distribution.  With a session daemon:
    the owner of its socket, or this user.  None when the user does not exist."""
    if not subject.system_daemon:
        return owner_of_socket(subject.uri) or ourselves()
    configured = option(subject.places.libvirt_etc / "qemu.conf", "user")
    names = (configured,) if configured else DISTRIBUTIONS
    return next((user for user in map(user_named, names) if user is not None), None)


def owner_of_socket(uri: str) -> User | None:
    """The owner of the daemon of a `?socket=` URI; None when the socket does not exist."""
    path = named_socket(uri)
    try:
        return None if path is None else user_named(str(os.stat(path).st_uid))
    except OSError:
        return None


def named_socket(uri: str) -> Path | None:
    """The path of a URI's `?socket=`."""
    _, _, rest = uri.partition("socket=")
    return Path(rest.split("&")[0]) if rest else None
