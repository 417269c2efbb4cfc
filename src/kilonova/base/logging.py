# SPDX-License-Identifier: Apache-2.0
"""Log lines: structured, one event each, to standard error or a file.  Secrets never enter them."""

import logging
import sys
from typing import TextIO

import structlog


def set_up(*, debug: bool = False, json_lines: bool = False, stream: TextIO | None = None) -> None:
    """Configure logging of this process: readable lines on a terminal, JSON lines where a machine reads."""
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
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if json_lines else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG if debug else logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(stream=out, level=logging.WARNING, format="%(asctime)s [%(levelname)s] %(name)s %(message)s")
