# SPDX-License-Identifier: Apache-2.0
"""Open enums: a value of a newer version can be read, and is written back unchanged.

Processes of two versions share a bus and a database.  A value that this version does not have becomes an *unknown
member* of its enum: `is_known` is False, `name` is "UNKNOWN", and `value` is the value as it was read.  A new value
therefore makes no message and no query fail, and no writer replaces it by another value.  The term is that of Protocol
Buffers.

An unknown member is not in `list(Kind)` and in no table of the known members, and equals only itself.  Code that
decides by an enum names the members for which it acts, and does nothing for all others: unknown is never "off".
"""

import re
from enum import IntEnum, StrEnum
from typing import Self, TypeVar

UNKNOWN = "UNKNOWN"
"""The name of every unknown member."""

_WORD = re.compile(r"[\w.:-]{1,32}", re.ASCII)
"""The texts that can be a member of a later version: its columns have 32 characters or fewer."""
_HIGHEST = 32767
"""The largest number that can be a member of a later version: its columns are SMALLINT."""


class OpenStrEnum(StrEnum):
    """An enum of texts that crosses the bus or is in the database."""

    @property
    def is_known(self) -> bool:
        """Whether this version has the member."""
        return self.name != UNKNOWN

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str) or not _WORD.fullmatch(value):
            return None
        member = str.__new__(cls, value)
        member._name_, member._value_ = UNKNOWN, value
        return member


class OpenIntEnum(IntEnum):
    """An enum of numbers that crosses the bus or is in the database."""

    @property
    def is_known(self) -> bool:
        """Whether this version has the member."""
        return self.name != UNKNOWN

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _HIGHEST:
            return None
        member = int.__new__(cls, value)
        member._name_, member._value_ = UNKNOWN, value
        return member


Known = TypeVar("Known", OpenStrEnum, OpenIntEnum)


def known(member: Known) -> Known:
    """For the input of users.  Raises ValueError for an unknown member."""
    if not member.is_known:
        raise ValueError(f"is not one of {', '.join(str(one) for one in type(member))}")
    return member
