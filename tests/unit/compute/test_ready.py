# SPDX-License-Identifier: Apache-2.0
"""What a host that is not ready says it waits for."""

from types import SimpleNamespace
from typing import Any, cast

from kilonova.compute.manager import ComputeManager


def test_why_the_host_could_not_be_told_of_is_said() -> None:
    def said(trouble: str, *, reported: bool = False) -> tuple[bool, str]:
        host = SimpleNamespace(
            _session=SimpleNamespace(epoch=1),
            _reports=SimpleNamespace(reported=reported, trouble=trouble),
            virtapi=SimpleNamespace(enabled=True),
        )
        return ComputeManager.ready(cast(Any, host))

    assert said("") == (False, "telling the conductor what this host has")
    assert said("Cannot find suitable emulator") == (False, "Cannot find suitable emulator")
    assert said("of an hour ago", reported=True) == (True, "")
