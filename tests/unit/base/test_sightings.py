# SPDX-License-Identifier: Apache-2.0
"""The record of orphans: what is deleted must have been found before, and a lost record delays a deletion."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.sightings import Sightings
from kilonova.base.threads import InlineWorkers

BEGIN = datetime(2026, 3, 4, tzinfo=UTC)


class _At(SystemClock):
    """A clock that stands."""

    def __init__(self, second: float) -> None:
        super().__init__()
        self.second = second

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.second)


def _sightings(path: Path, second: float) -> Sightings:
    return Sightings(path, InlineWorkers(), _At(second))


async def test_an_orphan_is_as_old_as_its_first_look_also_for_another_process(tmp_path: Path) -> None:
    path = tmp_path / "state" / "orphans.json"
    assert await _sightings(path, 0).note(["a"]) == {"a": 0}
    assert await _sightings(path, 40).note(["a", "b"]) == {"a": 40, "b": 0}
    assert await _sightings(path, 50).note(["b"]) == {"b": 10}
    assert await _sightings(path, 90).note(["a"]) == {"a": 0}, "it was no orphan meanwhile"


@pytest.mark.parametrize("text", ["", "[1]", '{"a": "x"}', '{"a": null}', "\x00"])
async def test_without_a_readable_record_nothing_was_found_before(tmp_path: Path, text: str) -> None:
    path = tmp_path / "orphans.json"
    path.write_text(text)
    assert await _sightings(path, 99).note(["a"]) == {"a": 0}
    assert await _sightings(path, 100).note(["a"]) == {"a": 1}


async def test_a_clock_that_is_set_back_makes_nothing_older(tmp_path: Path) -> None:
    path = tmp_path / "orphans.json"
    await _sightings(path, 1000).note(["a"])
    assert await _sightings(path, 0).note(["a"]) == {"a": 0}
