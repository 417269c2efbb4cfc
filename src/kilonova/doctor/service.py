# SPDX-License-Identifier: Apache-2.0
"""Checks of the service itself: configuration, port, readiness, bus, clock, programs."""

import ctypes
import http.client
import json
import os
import shutil
import socket
from dataclasses import dataclass
from typing import Any

from kilonova.base.clock import SystemClock
from kilonova.base.tls import unverified_context
from kilonova.compute import host_identity
from kilonova.db.location import database_files
from kilonova.doctor.finding import Finding, error, note, ok, warning
from kilonova.doctor.network import SBIN
from kilonova.doctor.process import Holder, Listener, holders
from kilonova.doctor.subject import Subject
from kilonova.doctor.tool import output_of

ANSWER_S = 1.5
HEALTH_S = 4.0
"""A status port runs its health checks before it answers: at most the limit of base.health, 3 s."""


def configuration(subject: Subject) -> Finding:
    """Check that the configuration is valid and has no unknown options."""
    name = "configuration"
    if subject.problems:
        cure = "Correct it; the other checks used the defaults."
        return error(name, " ".join(subject.problems), cure)
    if subject.strange:
        listed = ", ".join(subject.strange)
        cure = "Remove them, or correct the spelling: docs/configuration.md lists all options."
        return note(name, f"Options that Kilonova does not have are ignored: {listed}.", cure, options=subject.strange)
    return ok(name, "The configuration is valid.")


class _UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to the unix socket at `path`."""

    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path, self._timeout_s = path, timeout_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_s)
        self.sock.connect(self._path)


def query(address: str, port: int, path: str, *, timeout_s: float = ANSWER_S, tls: bool = False) -> tuple[int, Any]:
    """Status and JSON (None for another body) of the reply of an HTTP server.  An `address` with a slash is the path of
    a unix socket.  With `tls` any certificate is accepted.  Raises OSError and HTTPException."""
    if address.startswith("/"):
        link = _UnixConnection(address, timeout_s)
    elif tls:
        anybody = unverified_context()
        link = http.client.HTTPSConnection(address, port, timeout=timeout_s, context=anybody)
    else:
        link = http.client.HTTPConnection(address, port, timeout=timeout_s)
    try:
        link.request("GET", path)
        reply = link.getresponse()
        raw = reply.read(1 << 16)
    finally:
        link.close()
    try:
        return reply.status, json.loads(raw)
    except ValueError:
        return reply.status, None


WILD = {"0.0.0.0": "127.0.0.1", "::": "::1"}
PLACES_MOST = 4
"""The maximum number of addresses of one process to query: the API, the status port, metadata, consoles."""


def _listener(subject: Subject) -> tuple[str, int]:
    listen = subject.settings.api.listen.strip("[]")
    return WILD.get(listen, listen), subject.settings.api.port


def _query(subject: Subject, address: str, port: int, path: str) -> tuple[int, Any]:
    return query(address, port, path, tls=bool(subject.settings.api.ssl_cert_file))


def _query_api(subject: Subject, path: str) -> tuple[int, Any]:
    return _query(subject, *_listener(subject), path)


def api_port(subject: Subject) -> Finding:
    """Check that the API port is free or used by Kilonova, and find the real address of a running service."""
    name = "api-port"
    address, port = _listener(subject)
    facts = {"address": address, "port": port}
    real = _running(subject)
    if real is not None and real.at is not None and (real.at.address, real.at.port) != (address, port):
        message = f"The service of {subject.state} (process {real.pid}) serves {real.at.text()}, not {address}:{port}."
        cure = "Nothing, if it was started with --listen or other files; the other checks use that address."
        return note(name, message, cure, served=True, pid=real.pid, running_at=real.at.text(), **facts)
    if port == 0:
        return ok(name, "The service uses any free port.", **facts)
    other = f"Stop the process that uses it (ss -ltnp 'sport = :{port}' shows it), or set [api] port."
    try:
        status, body = _query_api(subject, "/")
    except ConnectionRefusedError:
        return _free(address, port)
    except TimeoutError:
        return error(name, f"A program uses {address}:{port} and does not answer.", other, **facts)
    except (OSError, http.client.HTTPException) as exc:
        return error(
            name,
            f"{address}:{port} cannot be queried, or does not speak HTTP: {type(exc).__name__}: {exc}.",
            other,
            **facts,
        )
    if isinstance(body, dict) and body.get("name") == "kilonova":
        version = str(body.get("version", "?"))
        return ok(name, f"Kilonova {version} serves {address}:{port}.", served=True, version=version, **facts)
    return error(name, f"Another program answers at {address}:{port} (status {status}).", other, served=False, **facts)


def _free(address: str, port: int) -> Finding:
    facts = {"address": address, "port": port}
    if reason := refused_to_listen(address, port):
        message = f"{address}:{port} cannot be listened on: {reason}."
        return error("api-port", message, "Set [api] listen and port to an address of this host.", **facts)
    return ok("api-port", f"{address}:{port} is free.", served=False, **facts)


def refused_to_listen(address: str, port: int) -> str:
    """Why no process can listen there now; empty when one can."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((address, port))
        except OSError as exc:
            return exc.strerror or str(exc)
    return ""


@dataclass(frozen=True, slots=True)
class Running:
    """A process that has locked the state directory.  `at` is the address of its API; None when it serves none, or when
    it `hangs`: it accepts a connection and does not answer."""

    pid: int
    at: Listener | None = None
    hangs: bool = False


def _running(subject: Subject) -> Running | None:
    """The running service of this state directory, with its real address; None when there is none or it is unknown."""
    found = holders(subject.places.proc, subject.state) or ()
    running = [_query_holder(subject, holder) for holder in found]
    return next((one for one in running if one.at is not None), running[0] if running else None)


def _query_holder(subject: Subject, holder: Holder) -> Running:
    listens = [Listener(WILD.get(at.address, at.address), at.port) for at in holder.listens]
    wanted = _listener(subject)
    for at in sorted(listens, key=lambda at: (at.address, at.port) != wanted)[:PLACES_MOST]:
        try:
            _, body = _query(subject, at.address, at.port, "/")
        except TimeoutError:  # one event loop serves all addresses
            return Running(holder.pid, hangs=True)
        except (OSError, http.client.HTTPException):
            continue
        if isinstance(body, dict) and body.get("name") == "kilonova":
            return Running(holder.pid, at)
    return Running(holder.pid)


def readiness(subject: Subject) -> Finding:
    """Check that a running service is ready: its conductor, its bus and its hypervisor.  The check uses the status port
    if it has one (a host of a fleet serves no API), else the real address of the API."""
    found = holders(subject.places.proc, subject.state)
    for holder in found or ():
        if holder.stopped:
            message = f"The service's process {holder.pid} is stopped (SIGSTOP, or a debugger)."
            return error("service", message, f"kill -CONT {holder.pid}", pid=holder.pid)
    listen = subject.settings.default.status_listen
    unlocked = found == ()
    return _by_status_port(listen, unlocked) if listen else _by_api(subject, unlocked)


def _by_status_port(listen: str, unlocked: bool) -> Finding:
    """`unlocked`: no process has locked the state directory, so a reply there comes from another program."""
    name, facts = "service", {"status_listen": listen}
    address, _, port = (listen, "", "0") if listen.startswith("/") else listen.rpartition(":")
    try:
        status, body = query(address.strip("[]") or "127.0.0.1", int(port), "/healthz", timeout_s=HEALTH_S)
    except (ConnectionRefusedError, FileNotFoundError):
        return note(name, f"No service runs: nothing listens on its status port {listen}.", "Start it.", **facts)
    except TimeoutError:
        if unlocked:
            message = f"No service runs: another program uses its status port {listen}, and does not answer."
            return error(name, message, "Stop that program, or set status_listen.", **facts)
        cure = "Look at its log; systemctl restart it, or kill it and start it: accepted requests are not lost."
        return error(
            name, f"The service at its status port {listen} does not answer: its event loop hangs.", cure, **facts
        )
    except (OSError, ValueError, http.client.HTTPException) as exc:
        return error(name, f"The status port {listen} cannot be queried: {exc}.", "Correct status_listen.", **facts)
    if not isinstance(body, dict) or not isinstance(checks := body.get("checks"), dict):
        return error(
            name, f"The program at {listen} is not a status port of Kilonova.", "Correct status_listen.", **facts
        )
    if status == 200:
        return ok(name, f"The service runs and is healthy: {', '.join(checks)}.", **facts)
    reasons = [f"{check}: {found.get('reason')}" for check, found in checks.items() if not found.get("ok")]
    cure = "Correct that; the service then continues by itself. A service that has just started needs a few seconds."
    return error(name, f"The service runs and is not ready: {'; '.join(reasons)}.", cure, failing=reasons, **facts)


def _by_api(subject: Subject, unlocked: bool) -> Finding:
    name = "service"
    address, port = _listener(subject)
    real = _running(subject)
    if real is not None and real.hangs:
        return _hangs(real.pid)
    if real is not None and real.at is not None:
        address, port = real.at.address, real.at.port
    elif real is not None:
        message = (
            f"Process {real.pid} uses {subject.state} and serves no API: it has just started, or has another role."
        )
        return note(
            name, message, "Set status_listen: it lets this check query a service without an API.", pid=real.pid
        )
    elif port == 0:
        return note(name, "The address of a running service is unknown: [api] port is 0.")
    at = f"{address}:{port}"
    try:
        healthy, body = _query(subject, address, port, "/healthz")
        if healthy != 200 or not isinstance(body, dict) or "healthy" not in body:
            return note(name, f"The program at {at} is not Kilonova.", "See api-port.")
        status, body = _query(subject, address, port, "/readyz")
    except ConnectionRefusedError:
        start = "Start the service." if subject.settings.default.in_fleet else "kilonova up"
        return note(name, f"No service runs at {at}.", start, address=address, port=port)
    except TimeoutError:
        if unlocked:
            message = f"No service runs on {subject.state}: another program uses {at}."
            return note(name, message, "See api-port.", address=address, port=port)
        cure = "ss -ltnp as root shows the process; a Kilonova service that hangs may be killed and started."
        return error(name, f"The program that uses {at} does not answer, and its owner is unknown.", cure)
    except (OSError, http.client.HTTPException) as exc:
        return note(name, f"The program at {at} does not speak HTTP ({type(exc).__name__}).", "See api-port.")
    return _judge_ready(status, body if isinstance(body, dict) else {})


def _hangs(pid: int) -> Finding:
    cure = f"Look at its log; systemctl restart kilonova, or kill {pid} and start it: accepted requests are not lost."
    return error("service", f"The service (process {pid}) does not answer: its event loop hangs.", cure, pid=pid)


def _judge_ready(status: int, facts: dict[str, Any]) -> Finding:
    name = "service"
    if status == 200:
        return ok(name, "The service runs and is ready: its conductor and its hypervisor answer.", **facts)
    reason = str(facts.get("reason") or f"status {status}")
    return error(
        name,
        f"The service runs and is not ready: {reason}.",
        "Correct the other errors; the service then continues by itself. A new start needs a few seconds.",
        **facts,
    )


@dataclass(frozen=True, slots=True)
class ClockFacts:
    """`synchronised` None: unknown.  `ahead_s`: how far the time of our newest file is in the future, in seconds."""

    synchronised: bool | None
    ahead_s: float
    boot_id: str


def clock(subject: Subject) -> Finding:
    """Check that NTP synchronises the clock, no file of the service has a future time, and the kernel has a boot id."""
    now = SystemClock().now().timestamp()
    files = (*database_files(subject.state), subject.state / host_identity.FILE)
    newest = max((path.stat().st_mtime for path in files if path.exists()), default=now)
    boot = subject.places.proc / "sys/kernel/random/boot_id"
    synchronised = kernel_clock()
    if synchronised is not True and (message := output_of(["timedatectl", "show", "-p", "NTPSynchronized", "--value"])):
        synchronised = message.strip() == "yes"
    boot_id = boot.read_text(encoding="ascii").strip() if boot.exists() else ""
    return judge_clock(ClockFacts(synchronised, newest - now, boot_id))


STA_UNSYNC = 0x40
STATUS_AT = {8: 40, 4: 20}
"""The offset of `status` in struct timex, by the size of a long."""


def kernel_clock() -> bool | None:
    """Whether the kernel's clock is synchronised, by adjtimex(2); None when the call is not allowed."""
    room = ctypes.create_string_buffer(512)  # modes 0: read only
    if ctypes.CDLL(None).adjtimex(room) < 0:
        return None
    at = STATUS_AT[ctypes.sizeof(ctypes.c_long)]
    return not int.from_bytes(room.raw[at : at + 4], "little") & STA_UNSYNC


def judge_clock(found: ClockFacts) -> Finding:
    """See `clock`."""
    name = "clock"
    facts = {"synchronised": found.synchronised, "ahead_s": round(found.ahead_s, 3), "boot_id": found.boot_id}
    ntp = "timedatectl set-ntp true (or apt-get install chrony)"
    if found.ahead_s > 5:
        message = f"The clock was set back: files of this service have a time {found.ahead_s:.0f} s in the future."
        return error(
            name, f"{message} Tokens and times of actions are wrong until the clock reaches that time.", ntp, **facts
        )
    if not found.boot_id:
        message = "The kernel has no boot id: the service cannot distinguish a reboot of the host from its own restart."
        return warning(name, message, "Mount all of /proc into the container.", **facts)
    if found.synchronised is None:
        return note(name, "It is unknown whether NTP synchronises the clock.", ntp, **facts)
    if not found.synchronised:
        return warning(name, "NTP does not synchronise the clock.", ntp, **facts)
    return ok(name, "NTP synchronises the clock.", **facts)


PROGRAMS = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils", "prlimit": "util-linux"}


def programs(subject: Subject) -> Finding:
    """Check that the programs for creating a guest are installed."""
    if not subject.uses_libvirt:
        return ok("programs", "The driver needs no programs.")
    missing = [program for program in PROGRAMS if shutil.which(program, path=SBIN) is None]
    if not missing:
        return ok("programs", f"Installed: {', '.join(PROGRAMS)}.", uid=os.geteuid())
    cure = f"apt-get install {' '.join(PROGRAMS[program] for program in missing)}"
    return error("programs", f"Not installed: {', '.join(missing)}.", cure, missing=missing)
