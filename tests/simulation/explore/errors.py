# SPDX-License-Identifier: Apache-2.0
"""The log of a run: an exception there that is no error of the catalogue is a defect."""

import sys
from collections.abc import Mapping
from typing import Any

import structlog

from kilonova.base.errors import KilonovaError

_ERROR = 40
unexpected: list[str] = []
"""What the log of this process has of defects, since a run began."""


def _note(_logger: Any, _method: str, event: Mapping[str, Any]) -> Any:
    error = sys.exc_info()[1]
    if event.get("exc_info") and error is not None and not isinstance(error, KilonovaError):
        unexpected.append(f"The log has an unexpected error: {event.get('event')}: {error!r}.")
    raise structlog.DropEvent


def watch_log() -> None:
    """From now on the service's log lines go nowhere, and unexpected errors are noted."""
    structlog.configure(
        processors=[_note],
        wrapper_class=structlog.make_filtering_bound_logger(_ERROR),
        cache_logger_on_first_use=True,
    )
