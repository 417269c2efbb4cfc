# SPDX-License-Identifier: Apache-2.0
"""The settings of a process as JSON, for a process that it starts.  They contain secrets: they go through a pipe, never
into arguments or the environment, which others can read."""

from functools import cache

from pydantic import TypeAdapter

from kilonova.config.load import Settings


@cache
def _form() -> TypeAdapter[Settings]:
    return TypeAdapter(Settings)


def handed_on(settings: Settings) -> bytes:
    """The settings, for `received`."""
    return _form().dump_json(settings)


def received(data: bytes) -> Settings:
    """The settings that another process of this version has handed on.  Raises ValueError."""
    return _form().validate_json(data)
