# SPDX-License-Identifier: Apache-2.0
"""Sentences of faults: the full text for administrators, and the part that members of the project see.

Only the operator may see names of hosts and the free resources of a host: they contain information about other tenants.
"""

import re
from collections.abc import Iterable

NO_VALID_HOST = "No valid host was found."
"""The beginning of a message that lists what each filter refused."""
WITHOUT_REASONS = f"{NO_VALID_HOST} There are not enough hosts available."
"""Nova's sentence."""


def member_message(text: str, names: Iterable[str | None]) -> str:
    """The text without the filters' reasons, and without these names of hosts."""
    if text.startswith(NO_VALID_HOST):
        return WITHOUT_REASONS
    for name in filter(None, names):
        text = re.sub(rf"(?:\b[Hh]ost )?'?(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)'?", "the host", text)
    return text
