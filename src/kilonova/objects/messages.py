# SPDX-License-Identifier: Apache-2.0
"""Sentences of faults: the full text for administrators, and the part that members of the project see.

Only the operator may see names of hosts and the free resources of a host: they contain information about other tenants.
"""

import re
from collections.abc import Iterable

from kilonova.objects.ids import HostName, InstanceId

NO_VALID_HOST = "No valid host was found."
"""The beginning of a message that lists what each filter refused."""
WITHOUT_REASONS = f"{NO_VALID_HOST} There are not enough hosts available."
"""Nova's sentence."""


_TRIED = re.compile(r"\bOn host (\S+): ")
"""A build was tried on several hosts (see kilonova.objects.leg.failure)."""


def member_message(text: str, names: Iterable[str | None]) -> str:
    """The text without the filters' reasons, and without these names of hosts and those on which a build was tried."""
    before, refused, _ = text.partition(NO_VALID_HOST)
    if refused:
        text = before + WITHOUT_REASONS
    hidden = {*filter(None, names), *_TRIED.findall(text)}
    text = _TRIED.sub("On a host: ", text)
    for name in sorted(hidden):
        text = re.sub(rf"(?:\b[Hh]ost )?'?(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)'?", "the host", text)
    return text


def not_given_up(instance_id: InstanceId, host: HostName) -> str:
    """Why a server that has a host cannot be evacuated."""
    return (
        f"The disks of instance {instance_id} are on host {host} only, and the host may still run it: if it will never "
        f"return, give it up (kilonova host forget {host}), and then evacuate."
    )
