# SPDX-License-Identifier: Apache-2.0
"""Structured log lines, one per event, to standard error or a file.  They never contain secrets.

A line that belongs to a request has its id: `[req-...]` before the message, `request_id` in JSON lines (see
kilonova.base.context).  A log call never raises and never blocks for long: see `kilonova.base.sink`.
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
"""One list for the whole process: loggers are cached with it and use its current contents."""
_stderr = Sink(2)


def set_debug(debug: bool) -> None:
    """Turn debug lines on or off, also for existing loggers."""
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
    """Add the request id before the message, as in the logs of OpenStack services."""
    request_id = event.pop("request_id", "")
    if request_id:
        event["event"] = f"[{request_id}] {event.get('event')}"
    return event


class _RequestIdFilter(logging.Filter):
    """Adds a `request` field to the log lines of libraries."""

    def filter(self, record: logging.LogRecord) -> bool:
        request_id = REQUEST_ID.get()
        record.request = f"[{request_id}] " if request_id else ""
        return True


def _safely(render: Processor) -> Processor:
    """A line that cannot be rendered (because the `repr` of a value raises) becomes a short line with its event.  The
    caller of the log does not fail."""

    def line(logger: Any, method: str, event: Any) -> Any:
        about = event.get("event")
        try:
            return render(logger, method, event)
        except Exception as exc:
            return f"[{method}] a log line could not be rendered ({type(exc).__name__}): {about}"

    return line


def dropped_lines() -> int:
    """The number of lines that this process could not write since its start."""
    return _stderr.dropped


def tell_dropped() -> None:
    """Write how many lines were dropped, if there are any and writing is possible now."""
    _stderr.tell_dropped()


def guard_streams() -> None:
    """Make sure that no write to standard output or standard error raises, also in the interpreter and in libraries.

    For services; a command whose output cannot be written must fail.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # closed by the parent process: the next opened file must not get this descriptor
            with contextlib.suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    sys.stdout, sys.stderr = Sink(1), _stderr


def set_up(*, debug: bool = False, json_lines: bool = False, stream: TextIO | None = None) -> None:
    """Configure logging of this process: readable lines on a terminal, JSON lines otherwise."""
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
        _drop_debug,  # not the wrapper class: loggers are cached with it, and the level may change
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
    """The log line about dropped lines, rendered like all others."""
    event: Any = {"event": "log lines were dropped", "count": count, "reason": reason}
    for processor in structlog.get_config()["processors"]:
        event = processor(None, "warning", event)
    return f"{event}\n"
