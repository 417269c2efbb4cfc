# SPDX-License-Identifier: Apache-2.0
"""Checks of libvirt: its socket, and the data that it reports."""

import os
import socket
import struct
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from kilonova.doctor.finding import Finding, error, note, ok, warning
from kilonova.doctor.process import is_stopped
from kilonova.doctor.subject import Subject, group_name, named_socket, option, ourselves
from kilonova.virt.libvirt.domain.lifecycle import CURE_OF_STUCK
from kilonova.virt.libvirt.host.checks import OLDEST_LIBVIRT, OLDEST_QEMU, version_text
from kilonova.virt.libvirt.host.survey import Survey

CONNECT_S = 2.0
DEFAULT_REQUESTS = 5
"""The default of max_client_requests in libvirtd."""
INSTALL = "apt-get install libvirt-daemon-system libvirt-daemon-driver-qemu"
START = "systemctl start libvirtd (without systemd: virtlogd -d && libvirtd -d)"


def socket_path(subject: Subject) -> Path | None:
    """The socket of the daemon; None for a driver inside our process or a daemon on another machine."""
    named = named_socket(subject.uri)
    if named is not None:
        return named
    scheme, _, rest = subject.uri.partition("://")
    if not scheme.startswith("qemu") or not rest.startswith("/") or rest.startswith("/embed"):
        return None
    if subject.system_daemon:
        base = subject.places.libvirt_run
    else:
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or Path.home() / ".cache") / "libvirt"
    modular = base / "virtqemud-sock"
    return modular if modular.exists() else base / "libvirt-sock"


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that listens on the socket."""

    pid: int
    uid: int
    stopped: bool = False


def libvirt_socket(subject: Subject) -> Finding:
    """Check that the daemon's socket exists, that a process listens on it, and that this user may connect."""
    name = "libvirt-socket"
    path = socket_path(subject)
    if not subject.uses_libvirt or path is None:
        return ok(name, f"{subject.uri} has no socket on this host.", uri=subject.uri)
    facts = {"path": str(path), "uri": subject.uri}
    try:
        peer = connect(path, subject.places.proc)
    except FileNotFoundError:
        return _absent(subject, path)
    except PermissionError:
        cure = f"usermod -aG {_group_of(path)} {ourselves().name}, and log in again."
        return error(name, f"This user cannot use the socket {path}.", cure, **facts)
    except ConnectionRefusedError:
        return error(name, f"The socket {path} exists and no process listens: the daemon has ended.", START, **facts)
    except TimeoutError:
        cure = "systemctl restart libvirtd (guests keep running)"
        return error(name, f"The daemon behind {path} accepts no connections: it hangs.", cure, **facts)
    if peer.stopped:
        cure = f"kill -CONT {peer.pid}"
        return error(name, f"The daemon behind {path} (process {peer.pid}) is stopped.", cure, pid=peer.pid, **facts)
    if (
        os.geteuid() == 0
        and subject.uri.startswith("qemu")
        and "/session" in subject.uri
        and "socket=" not in subject.uri
    ):
        message = f"For root, {subject.uri} is the system daemon."
        return warning(name, message, "Use qemu:///system, or run as an ordinary user.", **facts)
    return ok(
        name, f"The daemon (process {peer.pid}) listens at {path}, and this user may connect.", pid=peer.pid, **facts
    )


def connect(path: Path, proc: Path) -> Peer:
    """Connect and disconnect.  Raises OSError; TimeoutError after two seconds."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        end.settimeout(CONNECT_S)
        try:
            end.connect(str(path))
        except BlockingIOError:  # the backlog of the socket is full
            raise TimeoutError from None
        raw = end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _gid = struct.unpack("3i", raw)
    return Peer(pid, uid, is_stopped(proc, pid))


def stopped(subject: Subject) -> str:
    """A sentence when the daemon is stopped and cannot answer; otherwise empty."""
    path = socket_path(subject)
    try:
        peer = None if path is None else connect(path, subject.places.proc)
    except OSError:
        return ""
    return f"process {peer.pid}, the daemon, is stopped" if peer is not None and peer.stopped else ""


def _group_of(path: Path) -> str:
    try:
        return group_name(os.stat(path).st_gid)
    except OSError:
        return "libvirt"


def _absent(subject: Subject, path: Path) -> Finding:
    facts = {"path": str(path), "uri": subject.uri}
    installed = any(Path(folder, "libvirtd").exists() for folder in ("/usr/sbin", "/usr/local/sbin", "/sbin"))
    if not installed:
        return error("libvirt-socket", "libvirtd is not installed.", INSTALL, **facts)
    if not subject.system_daemon and named_socket(subject.uri) is None:
        return note(
            "libvirt-socket", f"There is no socket {path} yet; libvirt starts a session daemon itself.", **facts
        )
    return error("libvirt-socket", f"There is no socket {path}: libvirtd does not run.", START, **facts)


def connection(subject: Subject, survey: Survey) -> Finding:
    """Check that the daemon opens a connection and answers."""
    message = f"{subject.uri} answers: {survey.kind} with {survey.domains} running guests."
    return ok("libvirt", message, uri=subject.uri, kind=survey.kind, domains=survey.domains)


def stuck_guests(subject: Subject, survey: Survey) -> Finding:
    """Check for guests in an interrupted start: libvirtd ended during the start."""
    name, names = "libvirt-stuck", survey.starting_up
    if not names:
        return ok(name, "No guest is in an interrupted start.", guests=[])
    message = f"{', '.join(names)}: starting. If this does not change within a minute, libvirtd ended during the start."
    return warning(name, message, CURE_OF_STUCK.format(name=names[0]), guests=list(names))


def version(subject: Subject, survey: Survey) -> Finding:
    """Check that libvirt, QEMU and the binding have supported versions."""
    name = "libvirt-version"
    texts = {
        "libvirt": version_text(survey.libvirt),
        "hypervisor": version_text(survey.hypervisor),
        "client": version_text(survey.client),
        "binding": survey.binding,
        "oldest_libvirt": version_text(OLDEST_LIBVIRT),
        "oldest_qemu": version_text(OLDEST_QEMU),
    }
    if survey.too_old:
        cure = "Upgrade the distribution: Debian 12 and Ubuntu 24.04 have versions that are new enough."
        return error(name, f"{survey.too_old}.", cure, **texts)
    if survey.client < OLDEST_LIBVIRT:
        message = f"libvirt's client library {texts['client']} is older than {texts['oldest_libvirt']}."
        return error(name, message, "apt-get install --only-upgrade libvirt0", **texts)
    hypervisor = f"{survey.kind} {texts['hypervisor']}"
    message = f"libvirt {texts['libvirt']}, {hypervisor}, client library {texts['client']}, binding {survey.binding}."
    if survey.libvirt // 1000 < survey.client // 1000:
        return note(
            name,
            f"The running daemon is older than its client library: {message}",
            "systemctl restart libvirtd",
            **texts,
        )
    return ok(name, message, **texts)


def keepalive(subject: Subject, survey: Survey) -> Finding:
    """Check that the service detects a frozen daemon."""
    name, ours = "libvirt-keepalive", subject.settings.libvirt
    bound = ours.keepalive_interval * (ours.keepalive_count + 1)
    facts = {"works": survey.keepalive, "bound_s": bound}
    if survey.keepalive is None:
        cure = "Set [libvirt] keepalive_interval to 2."
        return warning(name, "Keepalive is off: only time limits detect a frozen daemon.", cure, **facts)
    if not survey.keepalive:
        return note(
            name, f"{subject.uri} has no keepalive: it runs in our process, or its daemon is too old.", "", **facts
        )
    return ok(name, f"Keepalive works: it detects a frozen daemon within {bound} s.", **facts)


def requests(subject: Subject) -> Finding:
    """Check that the service sends no more concurrent calls than the daemon accepts."""
    theirs = DEFAULT_REQUESTS
    values = (option(file, "max_client_requests") for file in config_files(subject))
    configured = next((value for value in values if value and value.isdigit()), None)
    return judge_requests(
        subject.settings.libvirt.max_client_requests, int(configured or theirs), configured is not None
    )


def config_files(subject: Subject) -> list[Path]:
    """The daemon's configuration file: from its command line, else the system's; none for a session daemon."""
    path = socket_path(subject)
    try:
        pid = connect(path, subject.places.proc).pid if path is not None else 0
        words = (subject.places.proc / str(pid) / "cmdline").read_text(errors="replace").split("\0")
    except OSError:
        words = []
    for flag, value in pairwise(words):
        if flag in ("--config", "-f"):
            return [Path(value)]
    if not subject.system_daemon:
        return []
    return [subject.places.libvirt_etc / name for name in ("virtqemud.conf", "libvirtd.conf")]


def judge_requests(ours: int, theirs: int, configured: bool) -> Finding:
    """See `requests`.  The service stays one call below `ours`: at the limit of the daemon keepalive waits too, and
    slow calls lose the connection."""
    name, facts = "libvirt-requests", {"ours": ours, "daemon": theirs, "configured": configured}
    where = "as configured" if configured else "its default"
    if ours > theirs:
        cure = (
            f"Set [libvirt] max_client_requests = {theirs}, or raise it in /etc/libvirt/libvirtd.conf and restart it."
        )
        message = (
            f"The service may send {ours - 1} concurrent calls; the daemon accepts {theirs} ({where}): keepalive fails."
        )
        return error(name, message, cure, **facts)
    return ok(name, f"At most {ours - 1} concurrent calls; the daemon accepts {theirs} ({where}).", **facts)
