# SPDX-License-Identifier: Apache-2.0
"""The host's uptime, and a host that cannot tell."""

from pathlib import Path

import pytest

from kilonova.base.errors import HypervisorError
from kilonova.compute import uptime
from tests.make import run


def test_it_is_one_line_of_the_hosts_own_tool() -> None:
    said = run(uptime.uptime())
    assert "load average: " in said
    assert "\n" not in said


@pytest.mark.parametrize(
    ("script", "words"), [(None, "cannot be run"), ("exit 3", "status 3"), ("exec sleep 60", "did not end")]
)
def test_a_host_that_cannot_tell_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None, words: str
) -> None:
    tool = tmp_path / "uptime"
    if script is not None:
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)
    monkeypatch.setattr(uptime, "LIMIT_S", 0.2)
    monkeypatch.setattr(uptime, "TOOL", str(tool))
    with pytest.raises(HypervisorError, match=words):
        run(uptime.uptime())
