# SPDX-License-Identifier: Apache-2.0
"""The doctor on a real PostgreSQL server: each problem is planted there, and is one finding with its cure."""

from collections.abc import Generator
from pathlib import Path

import pytest

from kilonova.doctor.database import database
from kilonova.doctor.finding import Finding, Level
from lab.postgres import PASSWORD
from tests import postgres
from tests.contract.test_db_commands import Place
from tests.unit.doctor.arranged import subject


@pytest.fixture
def place(tmp_path: Path) -> Generator[Place]:
    made = Place(tmp_path)
    made.run("upgrade")
    yield made
    postgres.server().drop_database(made.name)


def findings(place: Place, url: str = "") -> list[Finding]:
    found = database(subject(place.directory, database__connection=url or place.url))
    assert not isinstance(found, Finding)
    assert PASSWORD not in repr(found)
    return list(found)


def of(place: Place, url: str = "") -> list[tuple[Level, str]]:
    found = findings(place, url)
    assert all(one.cure for one in found if one.level is not Level.OK), found
    return [(one.level, one.found) for one in found]


def test_a_healthy_database_is_one_finding(place: Place) -> None:
    found = findings(place)
    assert {one.check for one in found} == {"database"}
    assert "The clocks of the server and of this machine agree." in found[0].found or found[0].level is Level.WARNING


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("ALTER DATABASE {} SET synchronous_commit = off", "synchronous_commit is off: a power failure may lose"),
        ("ALTER DATABASE {} SET default_transaction_read_only = on", "The database is read-only"),
        ("UPDATE alembic_version SET version_num = '0021'", "has the older revision 0021"),
        ("DROP TABLE alembic_version", "The database of [database] connection is empty."),
    ],
)
def test_a_planted_problem_is_an_error_with_its_cure(place: Place, statement: str, words: str) -> None:
    postgres.server().sql(statement.format(place.name), "postgres" if "{}" in statement else place.name)
    errors = [said for level, said in of(place) if level is Level.ERROR]
    assert len(errors) == 1
    assert words in errors[0]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("127.0.0.1", "127.0.0.9", "Connection refused"),
        (PASSWORD, "wrong", "password authentication failed"),
        ("/c", "/nothing", "does not exist"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_error(place: Place, old: str, new: str, words: str) -> None:
    (found,) = of(place, place.url.replace(old, new))
    assert (found[0], words in found[1]) == (Level.ERROR, True)


def test_two_problems_are_two_findings(place: Place) -> None:
    for setting in ("synchronous_commit = off", "default_transaction_read_only = on"):
        postgres.server().sql(f"ALTER DATABASE {place.name} SET {setting}", "postgres")
    assert len([one for one in findings(place) if one.level is Level.ERROR]) == 2
