# SPDX-License-Identifier: Apache-2.0
"""Ids that clients send."""

import re

from kilonova.base.errors import InvalidInput

UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def is_uuid(text: str) -> bool:
    """Whether an id has the form of a UUID."""
    return UUID.fullmatch(text) is not None


def require_uuid(name: str, text: str) -> str:
    """`text` in the form in which ids are stored.  Raises InvalidInput."""
    if not is_uuid(text):
        raise InvalidInput(f"Invalid input for field/attribute {name}. It is not a UUID.", path=name)
    return text
