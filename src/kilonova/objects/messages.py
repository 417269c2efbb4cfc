# SPDX-License-Identifier: Apache-2.0
"""Sentences of faults: the full text for administrators, and what the members of a project see of it.

Names of hosts, and how much of a host is free, are for the operator only: they say something about other tenants.
"""

import re
from collections.abc import Iterable

NO_VALID_HOST = "No valid host was found."
"""The beginning of a message that lists what each filter refused."""
WITHOUT_REASONS = f"{NO_VALID_HOST} There are not enough hosts available."
"""Nova's own sentence."""


def member_message(text: str, names: Iterable[str | None]) -> str:
    """The text without the filters' reasons, and without these names of hosts."""
    if text.startswith(NO_VALID_HOST):
        return WITHOUT_REASONS
    for name in filter(None, names):
        text = re.sub(rf"(?:\b[Hh]ost )?'?(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)'?", "the host", text)
    return text
