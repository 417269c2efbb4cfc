# SPDX-License-Identifier: Apache-2.0
"""Clocks that are wrong by minutes: each process says so once, the doctor names it, and everything works."""

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.postgres import PrivatePostgres
from tests.live.postgres_fleet import Clocks, running, short_directory

pytestmark = pytest.mark.live

AHEAD_S, BEHIND_S = 600, -600
CLOCKS = Clocks(api=AHEAD_S, conductor=BEHIND_S, host=AHEAD_S)
"""A URL of an image is valid for five minutes: one process signs it and another one checks it."""


def test_a_fleet_whose_clocks_are_wrong_by_minutes() -> None:
    with ExitStack() as stack:
        directory = Path(stack.enter_context(short_directory()))
        postgres = stack.enter_context(PrivatePostgres(directory / "pg"))
        fleet = stack.enter_context(running(postgres.url, CLOCKS))
        server = fleet.api.create(fleet.image)
        found = fleet.api.wait_status(server, "ACTIVE")
        created = datetime.fromisoformat(found["created"])
        assert abs(created - datetime.now(UTC)) < timedelta(seconds=-BEHIND_S / 2)  # the database's clock decides
        for service, where in (
            (fleet.api.service, "is ahead: let NTP set all clocks compared_with='the database'"),
            (fleet.fleet.conductor, "is behind: let NTP set all clocks compared_with='the database'"),
            (fleet.fleet.compute, "is ahead: let NTP set all clocks compared_with='the conductors'"),
        ):
            (line,) = (one for one in service.said().splitlines() if "the clock of this machine is" in one)
            assert where in " ".join(line.split())
        fleet.wait_doctor("The clock of the server is 600 s behind the clock of this machine.", AHEAD_S)
        fleet.wait_doctor("The clock of this machine is 600 s ahead of the conductor's.", AHEAD_S)
        fleet.api.delete(server)
        fleet.assert_alive()
