# SPDX-License-Identifier: Apache-2.0
"""`kilonova why`: the placement of a server in sentences."""

from pathlib import Path
from typing import Any

from kilonova.cmd.why import lines_of
from tests.make import run
from tests.unit.cmd.test_directory import desk

TRY: dict[str, Any] = {
    "at": "2026-01-01T00:00:00.000000",
    "hosts": 14,
    "candidates": 2,
    "host": "h1",
    "refused": [{"filter": "RamFilter", "count": 12, "hosts": ["h3", "h4"], "reason": "memory: too little"}],
    "weighed": [{"host": "h1", "weight": 1.204}, {"host": "h2", "weight": 1.0}],
    "lost": [{"host": "h5", "reason": "another build took the last of it"}],
    "failure": "The disk is full.",
}
PLACEMENT: dict[str, Any] = {
    "server_id": "s-1",
    "action": "create",
    "request_id": "req-1",
    "state": "open",
    "started_at": "2026-01-01T00:00:00.000000",
    "message": None,
    "tries": [TRY],
}


def test_a_try_in_sentences() -> None:
    assert lines_of(PLACEMENT) == [
        "Server s-1: create of 2026-01-01T00:00:00.000000 UTC (request req-1) is open.",
        "",
        "Try 1, 2026-01-01T00:00:00.000000 UTC: host h1 was chosen; 2 of 14 hosts passed the filters.",
        "  RamFilter refused 12: h3, h4 and 10 more (memory: too little).",
        "  h1 has the weight 1.20.",
        "  h2 has the weight 1.00.",
        "  h5 could not take it after all: another build took the last of it.",
        "  The build failed on h1: The disk is full.",
    ]
    waiting = {**PLACEMENT, "message": "Waiting for a host: it has just started.", "tries": []}
    assert lines_of(waiting)[1:] == ["Waiting for a host: it has just started.", "No host has been chosen yet."]


def test_a_server_that_does_not_exist_is_one_sentence(tmp_path: Path) -> None:
    async def main() -> None:
        async with desk(tmp_path) as d:
            assert "There is no server called nothing." in await d.refused("why", "nothing")
            unknown = "0c0a0000-0000-4000-8000-000000000000"
            assert f"Instance {unknown} could not be found." in await d.refused("why", unknown)

    run(main())
