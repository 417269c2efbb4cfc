# SPDX-License-Identifier: Apache-2.0
"""What the doctor looks at: settings, who QEMU runs as, and where the host keeps its facts."""

import grp
import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from kilonova.config.load import Settings
from kilonova.db.location import database_path
from kilonova.virt.libvirt.connection.opening import default_uri
from kilonova.virt.libvirt.network.network import backend_of


@dataclass(frozen=True, slots=True)
class User:
    """A user of this host with all groups that a process of his has."""

    name: str
    uid: int
    gids: frozenset[int]

    def may(self, mode: int, uid: int, gid: int, wanted: int) -> bool:
        """Whether the mode bits of a thing owned by `uid`:`gid` give him `wanted` (4 read, 2 write, 1 pass)."""
        if self.uid == 0:
            return True
        shift = 6 if uid == self.uid else 3 if gid in self.gids else 0
        return mode >> shift & wanted == wanted


@dataclass(frozen=True, slots=True)
class Places:
    """Where a host keeps its facts; tests arrange their own."""

    kvm: Path = Path("/dev/kvm")
    proc: Path = Path("/proc")
    libvirt_etc: Path = Path("/etc/libvirt")
    libvirt_run: Path = Path("/run/libvirt")


@dataclass(frozen=True, slots=True)
class Subject:
    """The host as it is configured.  `problems` are sentences about the configuration itself."""

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
        """The file of the database; only a host with a conductor has it."""
        return database_path(self.state)

    @property
    def uses_libvirt(self) -> bool:
        """Whether guests run in libvirt at all (the fake driver needs none)."""
        return self.settings.default.compute_driver.startswith("libvirt")

    @property
    def system_daemon(self) -> bool:
        """Whether a daemon of root's makes the guests, as another user.  As root, qemu:///session is it as well."""
        return self.uri.startswith("qemu") and (
            "/system" in self.uri or (os.geteuid() == 0 and "socket=" not in self.uri)
        )


def subject_of(
    settings: Settings, places: Places | None = None, problems: Iterable[str] = (), strange: Iterable[str] = ()
) -> Subject:
    """What `kilonova up` would run on with these settings."""
    uri = settings.libvirt.connection_uri or default_uri(settings.libvirt.virt_type)
    backend = backend_of(settings.network.backend, uri)
    return Subject(settings, uri, backend, places or Places(), tuple(problems), tuple(strange))


def user_named(name: str) -> User | None:
    """The user with his groups; None when there is none of that name.  A number is taken as an id, as libvirt does."""
    try:
        entry = pwd.getpwuid(int(name.lstrip("+"))) if name.lstrip("+").isdigit() else pwd.getpwnam(name)
    except KeyError:
        return None
    return User(entry.pw_name, entry.pw_uid, frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid)))


def ourselves() -> User:
    """The user that the doctor runs as."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        name = str(os.geteuid())
    return User(name, os.geteuid(), frozenset((os.getegid(), *os.getgroups())))


def owner_of(path: Path) -> str:
    """The name of the user whose it is, or the number where there is none.  Raises OSError."""
    uid = path.stat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The group's name, or its number where it has none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def option(path: Path, name: str) -> str | None:
    """The value of `name = value` in a file of libvirt's; None when it is not set or the file cannot be read."""
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
"""Names under which Debian and Fedora run QEMU."""


def qemu_user(subject: Subject) -> User | None:
    """The user that guests run as: of qemu.conf or the distribution with a system daemon; the owner of the daemon's
    socket, or we, with a session daemon.  None when he does not exist."""
    if not subject.system_daemon:
        return owner_of_socket(subject.uri) or ourselves()
    configured = option(subject.places.libvirt_etc / "qemu.conf", "user")
    names = (configured,) if configured else DISTRIBUTIONS
    return next((user for user in map(user_named, names) if user is not None), None)


def owner_of_socket(uri: str) -> User | None:
    """Whose the daemon behind a `?socket=` URI is; None when the URI names none that is there."""
    path = named_socket(uri)
    try:
        return None if path is None else user_named(str(os.stat(path).st_uid))
    except OSError:
        return None


def named_socket(uri: str) -> Path | None:
    """The path of a URI's `?socket=`."""
    _, _, rest = uri.partition("socket=")
    return Path(rest.split("&")[0]) if rest else None
