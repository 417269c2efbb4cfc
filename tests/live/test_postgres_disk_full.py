# SPDX-License-Identifier: Apache-2.0
"""The disk of PostgreSQL is full: new work is refused in words, nothing accepted is lost, and it passes by itself."""

import contextlib
from collections.abc import Generator
from pathlib import Path

import pytest

from lab.common import LabError
from lab.counting import cannot_run
from lab.postgres_kinds import SmallPostgres
from tests.live.box import wait_for
from tests.live.postgres_fleet import Clients, running, short_directory

pytestmark = pytest.mark.live

SIZE_MIB = 160


@pytest.fixture
def postgres() -> Generator[SmallPostgres]:
    with short_directory() as directory:
        server = SmallPostgres(Path(directory) / "pg", SIZE_MIB)
        try:
            server.start()
        except LabError as error:
            server.close()
            cannot_run(error.sentence)
        try:
            yield server
        finally:
            server.close()


FULL = "the disk of the server is full (No space left on device)"


def test_a_full_disk_refuses_new_work_and_loses_nothing(postgres: SmallPostgres) -> None:
    """First the tables cannot grow; then the log cannot grow either, and PostgreSQL itself ends."""
    with running(postgres.url) as fleet:
        clients = fleet.clients(4)
        fleet.wait_of(clients, lambda: len(clients.accepted) >= 4)
        postgres.keep_log()
        sentence = f"The database cannot be used now: {FULL}. Nothing was accepted; try again later."
        fleet.wait_of(clients, lambda: _refuses(postgres, clients, sentence))
        wait_for(lambda: postgres.fill() or sentence in fleet.api.http.get("/readyz").text, why=fleet.said)
        fleet.wait_doctor(f"The server takes no writes: {FULL}.")
        postgres.free()
        fleet.wait_ready()
        fleet.wait_more(clients)

        postgres.fill()
        _end_the_log(postgres)
        assert _log_has_ended(postgres)
        postgres.free()
        before = len(clients.accepted)
        fleet.wait_of(clients, lambda: _lives(postgres) and len(clients.accepted) > before + 4)
        fleet.wait_ready()
        clients.finish()
        fleet.assert_whole(clients)


def _refuses(postgres: SmallPostgres, clients: Clients, sentence: str) -> bool:
    """Whether a client has received the sentence while the disk was full; a checkpoint releases files of the log."""
    postgres.fill()
    return clients.refused[503, sentence] > 0


def _lives(postgres: SmallPostgres) -> bool:
    """What systemd does: start it again, whenever it ends.  After a PANIC it may end a moment later."""
    if not postgres.lives:
        postgres.stop()
        postgres.start()
    return True


def _end_the_log(postgres: SmallPostgres) -> None:
    """Use up the files of the log that PostgreSQL has in store.  A session that begins may have to write a file of its
    own first, and needs room for it."""
    for _ in range(20):
        try:
            postgres.sql("SELECT pg_logical_emit_message(false, 'x', 'x'); SELECT pg_switch_wal()", "postgres")
        except LabError:
            if not _log_has_ended(postgres):
                postgres.free()
                with contextlib.suppress(LabError):
                    postgres.sql("SELECT 1", "postgres")
                postgres.fill()
        if _log_has_ended(postgres):
            return


def _log_has_ended(postgres: SmallPostgres) -> bool:
    said = postgres.log.read_text()
    return not postgres.lives or "PANIC" in said or "could not write to file" in said
