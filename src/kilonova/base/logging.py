# SPDX-License-Identifier: Apache-2.0
"""Log lines: structured, one event each, to standard error or a file.  Secrets never enter them.

A line that belongs to a request carries its id: `[req-...]` before the message, `request_id` in JSON lines (see
kilonova.base.context).  A log call never raises and never waits long: see `kilonova.base.sink`.
"""

import contextlib
import logging
import os
import sys
from typing import Any, TextIO, cast

import structlog
from structlog.typing import Processor

from kilonova.base.context import REQUEST_ID
from kilonova.base.sink import Sink

_debug = False
_processors: list[Processor] = []
"""One list for good: loggers are cached with it, and go on by what it holds."""
_stderr = Sink(2)


def set_debug(debug: bool) -> None:
    """Log debug lines from now on, or no longer.  Loggers in use follow."""
    global _debug
    _debug = debug


def _drop_debug(_logger: Any, method: str, event: Any) -> Any:
    if method == "debug" and not _debug:
        raise structlog.DropEvent
    return event


def _add_request_id(_logger: Any, _method: str, event: Any) -> Any:
    request_id = REQUEST_ID.get()
    if request_id:
        event.setdefault("request_id", request_id)
    return event


def _bracket_request_id(_logger: Any, _method: str, event: Any) -> Any:
    """Before the message, as in the logs of OpenStack services."""
    request_id = event.pop("request_id", "")
    if request_id:
        event["event"] = f"[{request_id}] {event.get('event')}"
    return event


class _RequestIdFilter(logging.Filter):
    """Gives the lines of libraries a `request` field."""

    def filter(self, record: logging.LogRecord) -> bool:
        request_id = REQUEST_ID.get()
        record.request = f"[{request_id}] " if request_id else ""
        return True


def _safely(render: Processor) -> Processor:
    """A line that cannot be made (a value whose `repr` raises) names what it was about, and is no failure of whoever
    logs."""

    def line(logger: Any, method: str, event: Any) -> Any:
        about = event.get("event")
        try:
            return render(logger, method, event)
        except Exception as exc:
            return f"[{method}] a log line could not be made ({type(exc).__name__}): {about}"

    return line


def dropped_lines() -> int:
    """How many lines this process could not write since its start."""
    return _stderr.dropped


def tell_dropped() -> None:
    """Say how many lines were dropped, if there were any and it can be said now."""
    _stderr.tell_dropped()


def guard_streams() -> None:
    """Nothing that is printed by this process raises from now on: neither what we say on standard output, nor what the
    interpreter and libraries write to standard error.  For services: a command whose output cannot be written fails."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed by who started us: the next file that is opened must not become it
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = Sink(1), _stderr


def set_up(*, debug: bool = False, json_lines: bool = False, stream: TextIO | None = None) -> None:
    """Configure logging of this process: readable lines on a terminal, JSON lines where a machine reads."""
    global _stderr
    set_debug(debug)
    out = stream or Sink(2, _notice)
    if isinstance(out, Sink):
        _stderr = out
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if json_lines
        else structlog.dev.ConsoleRenderer(
            colors=out.isatty(),
            pad_event_to=0,
            exception_formatter=structlog.dev.plain_traceback,  # the rich one shows local variables: secrets
        )
    )
    _processors[:] = [
        _drop_debug,  # and not the wrapper class: loggers are cached with theirs, and the level may change
        _add_request_id,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info if json_lines else _bracket_request_id,
        _safely(renderer),
    ]
    structlog.configure(
        processors=_processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, out)),
        cache_logger_on_first_use=True,
    )
    line = "%(asctime)s [%(levelname)s] %(name)s %(request)s%(message)s"
    logging.basicConfig(stream=out, level=logging.WARNING, format=line)
    for handler in logging.getLogger().handlers:
        if not any(isinstance(one, _RequestIdFilter) for one in handler.filters):
            handler.addFilter(_RequestIdFilter())


def _notice(count: int, reason: str) -> str:
    """The line that tells of lines that were dropped, made as all others are."""
    event: Any = {"event": "log lines were dropped", "count": count, "reason": reason}
    for processor in structlog.get_config()["processors"]:
        event = processor(None, "warning", event)
    return f"{event}\n"
