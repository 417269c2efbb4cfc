# SPDX-License-Identifier: Apache-2.0
"""Lists of actions: open ones, and the index that each list reads in order."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from kilonova.db import migrate
from kilonova.db.location import sqlite_url
from kilonova.db.readers.action_lists import Outcome, Place, Wanted, listing, newest
from kilonova.db.sqlite import make_engine
from kilonova.objects.states import Verb
from tests import make
from tests.unit.conductor.desk import ONE, Desk

BEFORE = Place(make.NOW, "a")
BY_TIME, BY_PROJECT = "ix_actions_started_at_id", "ix_actions_instance_project_started_at_id"


def test_an_action_is_listed_as_open_until_it_ends(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.active()
    assert desk.read(newest, Wanted(outcome=Outcome.OPEN), 9) == []
    desk.accept(Verb.STOP, "req-stop")
    (found,) = desk.read(newest, Wanted(outcome=Outcome.OPEN), 9)
    assert (found.action.verb, found.action.instance_id, found.is_deleted) == (Verb.STOP, ONE, False)
    assert [one.action.verb for one in desk.read(newest, Wanted(), 9)] == [Verb.STOP, Verb.CREATE]
    assert [one.action.verb for one in desk.read(newest, Wanted(), 1)] == [Verb.STOP]
    assert desk.read(newest, Wanted(outcome=Outcome.FAILED), 9) == []


@pytest.mark.parametrize(
    ("wanted", "before", "index"),
    [
        (Wanted(), None, BY_TIME),
        (Wanted(), BEFORE, BY_TIME),
        (Wanted("p1"), None, BY_PROJECT),
        (Wanted("p1"), BEFORE, BY_PROJECT),
        (Wanted("p1", Outcome.FAILED), None, BY_PROJECT),
        (Wanted(None, Outcome.FAILED), None, "ix_actions_not_done"),
    ],
)
def test_an_index_gives_the_list_in_its_order(tmp_path: Path, wanted: Wanted, before: Place | None, index: str) -> None:
    """A list of a few newest actions costs the same among a hundred as among a million."""
    migrate.ensure_schema(tmp_path / "k.db")
    engine = make_engine(sqlite_url(tmp_path / "k.db"), readers=1)
    with engine.connect() as connection:
        text = str(listing(wanted, 50, before).compile(connection, compile_kwargs={"literal_binds": True}))
        plan = [row[3] for row in connection.execute(sa.text(f"EXPLAIN QUERY PLAN {text}"))]
    engine.dispose()
    assert index in plan[0]
    assert not [line for line in plan if "TEMP B-TREE" in line]
