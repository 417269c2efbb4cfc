# SPDX-License-Identifier: Apache-2.0
"""Times as the APIs write them: always UTC."""

from datetime import datetime


def seconds_z(at: datetime) -> str:
    """2026-01-31T23:59:59Z"""
    return f"{at.isoformat()[:19]}Z"


def micros(at: datetime | None) -> str | None:
    """2026-01-31T23:59:59.000000: without a zone and, as in Nova, without the fraction."""
    return None if at is None else f"{at.isoformat()[:19]}.000000"


def micros_whole(at: datetime) -> str:
    """2026-01-31T23:59:59.123456: a time that a client gave, unchanged."""
    return at.replace(tzinfo=None).isoformat(timespec="microseconds")


def micros_z(at: datetime) -> str:
    """2026-01-31T23:59:59.123456Z"""
    return f"{at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
