# SPDX-License-Identifier: Apache-2.0
"""What a member is told of a failure, whose whole text is an administrator's.

How much of a host is free, and what hosts are called, is the operator's to know: it tells of other tenants.
"""

import re
from collections.abc import Iterable

NO_VALID_HOST = "No valid host was found."
"""How the text begins that says what each filter refused."""
WITHOUT_REASONS = f"{NO_VALID_HOST} There are not enough hosts available."
"""Nova's own sentence."""


def to_member(text: str, names: Iterable[str | None]) -> str:
    """The text without what filters said of hosts, and without these names of hosts."""
    if text.startswith(NO_VALID_HOST):
        return WITHOUT_REASONS
    for name in filter(None, names):
        text = re.sub(rf"(?:\b[Hh]ost )?'?(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)'?", "the host", text)
    return text
