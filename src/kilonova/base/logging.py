# SPDX-License-Identifier: Apache-2.0
"""Log lines: structured, one event each, to standard error or a file.  Secrets never enter them."""

import logging
import sys
from typing import Any, TextIO

import structlog

_debug = False


def set_debug(debug: bool) -> None:
    """Log debug lines from now on, or no longer.  Loggers in use follow."""
    global _debug
    _debug = debug


def _drop_debug(_logger: Any, method: str, event: Any) -> Any:
    if method == "debug" and not _debug:
        raise structlog.DropEvent
    return event


def set_up(*, debug: bool = False, json_lines: bool = False, stream: TextIO | None = None) -> None:
    """Configure logging of this process: readable lines on a terminal, JSON lines where a machine reads."""
    set_debug(debug)
    out = stream or sys.stderr
    renderer = (
        structlog.processors.JSONRenderer()
        if json_lines
        else structlog.dev.ConsoleRenderer(
            colors=out.isatty(),
            pad_event_to=0,
            exception_formatter=structlog.dev.plain_traceback,  # the rich one shows local variables: secrets
        )
    )
    structlog.configure(
        processors=[
            _drop_debug,  # and not the wrapper class: loggers are cached with theirs, and the level may change
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if json_lines else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=out, level=logging.WARNING, format="%(asctime)s [%(levelname)s] %(name)s %(message)s")
