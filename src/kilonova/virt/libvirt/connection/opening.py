# SPDX-License-Identifier: Apache-2.0
"""The native calls: opening a libvirt connection, calling it, closing it.

Nothing here may be called on the event loop.  Errors leave as plain values: an exception's traceback would carry
libvirt objects to the loop, and dropping their last reference there may block.
"""

import asyncio
import configparser
import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import libvirt

from kilonova.base.errors import KilonovaError
from kilonova.base.threads import Lock, start_daemon

T = TypeVar("T")

AUTOWRAP: tuple[type, ...] = tuple(
    value for name, value in vars(libvirt).items() if name.startswith("vir") and isinstance(value, type)
)
"""Types whose objects come back as proxies: virConnect, virDomain, virNetwork, ..."""

Credential = list[Any]
"""A credential as libvirt-python passes it: [type, prompt, challenge, default result, place for the answer]."""

BROKEN_CODES = frozenset(
    {
        libvirt.VIR_ERR_INTERNAL_ERROR,
        libvirt.VIR_ERR_SYSTEM_ERROR,
        libvirt.VIR_ERR_NO_CONNECT,
        libvirt.VIR_ERR_INVALID_CONN,
    }
)
BROKEN_DOMAINS = frozenset({libvirt.VIR_FROM_RPC, libvirt.VIR_FROM_REMOTE})

PERMANENT_CODES = frozenset(
    {
        libvirt.VIR_ERR_AUTH_FAILED,
        libvirt.VIR_ERR_AUTH_CANCELLED,
        libvirt.VIR_ERR_NO_CONNECT,
        libvirt.VIR_ERR_CONF_SYNTAX,
        libvirt.VIR_ERR_INVALID_ARG,
    }
)
"""Failures to open that only an operator can end: retries are rare."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A libvirt call that failed.  `lost`: it failed by the loss of its connection `number`, so it may have happened in
    spite of the error.  `error` is set instead where our own code refused."""

    message: str
    number: int = 0
    code: int = 0
    domain: int = 0
    lost: bool = False
    error: KilonovaError | None = None


CLOSE_REASONS = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "an I/O error",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "the daemon closed it",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "the daemon does not answer keepalive",
    libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT: "closed by us",
}
"""The reasons that libvirt reports for a closed connection."""


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How a connection is opened.  `keepalive_interval_s` 0 turns keepalive off."""

    uri: str
    read_only: bool = False
    auth_file: str = ""
    keepalive_interval_s: int = 2
    keepalive_count: int = 3


@dataclass(slots=True, eq=False)
class Opened:
    """A live connection and what must be undone before it is closed.  `number` identifies it in its pool."""

    conn: libvirt.virConnect
    number: int
    keepalive: bool = False
    callbacks: list[int] = field(default_factory=list[int])
    without_events: str | None = None
    """Why lifecycle events are not available, where they are not."""


Registrar = Callable[[libvirt.virConnect, list[int]], None]
"""Registers event callbacks on a fresh connection and appends their ids, each as soon as it is known."""

_event_loop_lock = Lock()
_event_loop_runs = False


def ensure_event_loop() -> None:
    """libvirt's own event loop runs, on one daemon thread of this process.

    libvirt has one event implementation per process, to be registered before the first connection is opened; keepalive
    and events depend on it, so it has a thread that nothing else can block.
    """
    global _event_loop_runs
    with _event_loop_lock:
        if _event_loop_runs:
            return
        libvirt.registerErrorHandler(_quiet, None)  # or libvirt prints every error to stderr
        libvirt.virEventRegisterDefaultImpl()
        start_daemon("libvirt-events", _run_event_loop)
        _event_loop_runs = True


def _quiet(_context: object, _error: object) -> None: ...


def _run_event_loop() -> None:
    while True:
        with contextlib.suppress(libvirt.libvirtError):  # one bad handle must not end keepalive for all
            libvirt.virEventRunDefaultImpl()


def default_uri(virt_type: str) -> str:
    """The URI where none is configured."""
    if virt_type == "test":
        return "test:///default"
    return "qemu:///system" if os.geteuid() == 0 else "qemu:///session"


def read_auth_file(path: str, host: str = "localhost") -> dict[str, str]:
    """The credentials of libvirt's own auth file format for `host` (or its default section), else the first ones.

    Raises OSError, configparser.Error, KeyError and UnicodeDecodeError.
    """
    parser = configparser.ConfigParser(interpolation=None)
    with open(path, encoding="utf-8") as file:
        parser.read_file(file)
    for section in (f"auth-libvirt-{host}", "auth-libvirt-default"):
        if parser.has_option(section, "credentials"):
            return dict(parser[f"credentials-{parser.get(section, 'credentials')}"])
    names = [name for name in parser.sections() if name.startswith("credentials-")]
    return dict(parser[names[0]]) if names else {}


_CREDENTIALS = {
    libvirt.VIR_CRED_AUTHNAME: "authname",
    libvirt.VIR_CRED_USERNAME: "username",
    libvirt.VIR_CRED_PASSPHRASE: "password",
    libvirt.VIR_CRED_NOECHOPROMPT: "password",
    libvirt.VIR_CRED_REALM: "realm",
}


def _answer(credentials: list[Credential], known: dict[str, str]) -> int:
    """libvirt's auth callback: fill in the requested credentials; -1 (refused) when we do not have one."""
    for credential in credentials:
        answer = known.get(_CREDENTIALS.get(credential[0], "")) or credential[3]
        if not answer:
            return -1
        credential[4] = answer
    return 0


def open_connection(
    options: OpenOptions, number: int, on_close: Callable[[int], None], register: Registrar | None
) -> Opened | Failure:
    """Open, authenticate, set keepalive, register the close callback and events: one native call.

    `on_close` gets libvirt's reason and is called on any thread.
    """
    ensure_event_loop()
    try:
        known = read_auth_file(options.auth_file) if options.auth_file else {}
    except (OSError, configparser.Error, KeyError, UnicodeDecodeError) as exc:
        # The parser's message contains the line that it could not read, and so perhaps the password.
        why = exc.strerror if isinstance(exc, OSError) else type(exc).__name__
        return Failure(f"auth_file {options.auth_file} cannot be used: {why}", code=libvirt.VIR_ERR_AUTH_CANCELLED)
    # Only credentials that the file has: SASL requests everything that is offered, and one refusal ends the attempt.
    types = [kind for kind, name in _CREDENTIALS.items() if name in known]

    def answer(credentials: list[Credential], _opaque: object) -> int:
        return _answer(credentials, known)

    try:
        conn = libvirt.openAuth(options.uri, [types, answer, None], libvirt.VIR_CONNECT_RO if options.read_only else 0)
    except libvirt.libvirtError as exc:
        return failure_of(exc, lost=True)
    opened = Opened(conn, number)
    try:
        _prepare(opened, options, on_close, register)
    except libvirt.libvirtError as exc:
        close_connection(opened)
        return failure_of(exc, lost=True)
    return opened


def _prepare(opened: Opened, options: OpenOptions, on_close: Callable[[int], None], register: Registrar | None) -> None:
    conn = opened.conn
    if options.keepalive_interval_s > 0:
        try:
            # 1 means that the peer does not support it.
            opened.keepalive = conn.setKeepAlive(options.keepalive_interval_s, options.keepalive_count) == 0
        except libvirt.libvirtError as exc:
            if exc.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
                raise
    with contextlib.suppress(libvirt.libvirtError):  # a driver inside our process has no connection to lose
        conn.registerCloseCallback(lambda _conn, reason, _opaque: on_close(reason), None)
    if register is not None:
        try:
            register(conn, opened.callbacks)
        except libvirt.libvirtError as exc:
            if failure_of(exc).lost:
                raise
            opened.without_events = str(exc)


def close_connection(opened: Opened) -> None:
    """Take the callbacks away (each holds a reference, and the connection would stay open) and close."""
    for callback in opened.callbacks:
        with contextlib.suppress(libvirt.libvirtError):
            opened.conn.domainEventDeregisterAny(callback)
    with contextlib.suppress(libvirt.libvirtError):
        opened.conn.unregisterCloseCallback()
    with contextlib.suppress(libvirt.libvirtError):
        opened.conn.close()


def failure_of(exc: libvirt.libvirtError, *, lost: bool = False) -> Failure:
    """The plain facts of a libvirt error."""
    code, domain = exc.get_error_code() or 0, exc.get_error_domain() or 0
    return Failure(
        message=exc.get_error_message() or str(exc),
        code=code,
        domain=domain,
        lost=lost or (code in BROKEN_CODES and domain in BROKEN_DOMAINS) or code == libvirt.VIR_ERR_INVALID_CONN,
    )


def attempt(opened: Opened, fn: Callable[[libvirt.virConnect], T]) -> T | Failure:
    """`fn(conn)`, with a libvirt error, or a refusal by this service, as a value."""
    try:
        return fn(opened.conn)
    except libvirt.libvirtError as exc:
        return replace(failure_of(exc), number=opened.number)
    except KilonovaError as exc:
        return Failure(exc.message, error=exc.with_traceback(None))


def to_loop(loop: asyncio.AbstractEventLoop, fn: Callable[..., None], *args: Any) -> None:
    """Pass a callback of a foreign thread to the loop; dropped when the loop is closed."""
    try:
        loop.call_soon_threadsafe(fn, *args)
    except RuntimeError:
        return
