# SPDX-License-Identifier: Apache-2.0
"""What one create costs: SQL statements, commits, and messages between the processes.

The numbers are upper limits.  Raise one only with a reason.
"""

import asyncio
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from kilonova.rpc.memory import MemoryBus
from kilonova.rpcapi.notifications import NUMBERED
from tests.service.api import running_api

STATEMENTS = 17
"""To accept (4), place (6), hand out (2) and end (5) a create with one network: all on the rows of this create."""
SHARED = 6
"""To read the flavor, the image and the hosts (5), and to see that there is work (1)."""
WRITES = 4
"""Transactions that may change something, without those of the outbox: each is at most one sync of the disk."""
NUMBERINGS = 2
"""Transactions that number the notifications: of its start, and of its end."""
MESSAGES = 4
"""Calls and casts, each with its reply: create, wake, fetch, finish.  Without the one that wakes the readers of the
outbox: it serves many creates at once."""
ATTEMPTS = 3
"""Creates until one costs no more: on a busy machine a transaction may run again, and a message may be sent again."""
LONG: dict[tuple[str, str], Any] = {
    ("DEFAULT", "report_interval"): 20.0,
    ("DEFAULT", "action_poll_interval"): 20.0,
    ("conductor", "watchdog_interval"): 600.0,
}
"""No periodic work during the test."""
OUTBOX = ("outbox", "notifications.number IS NULL")


@contextmanager
def statements() -> Generator[list[str]]:
    """The statements of all engines, without those that number the outbox: these serve many creates at once."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if not any(word in statement for word in OUTBOX):
            one_for_each_row = isinstance(parameters, list)
            found.extend([" ".join(statement.split())] * (len(parameters) if one_for_each_row else 1))

    event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(sa.Engine, "before_cursor_execute", note)


def is_of_sqlite(statement: str) -> bool:
    """What SQLite's engine adds: the begin and the end of a batch and of its savepoints."""
    return statement.startswith(("BEGIN", "COMMIT", "SAVEPOINT one", "RELEASE one"))


async def until_quiet(found: list[str]) -> None:
    """Until there are no more of them for a while."""
    before = -1
    while before != len(found):
        before = len(found)
        await asyncio.sleep(0.5)


async def test_a_create_has_few_statements_and_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: Counter[str] = Counter()
    request, publish = MemoryBus.request, MemoryBus.publish

    async def counted_request(self: MemoryBus, subject: str, payload: bytes, *args: Any, **words: Any) -> bytes:
        sent["request"] += 1
        return await request(self, subject, payload, *args, **words)

    async def counted_publish(self: MemoryBus, subject: str, payload: bytes) -> None:
        sent["publish"] += subject != NUMBERED
        await publish(self, subject, payload)

    async with running_api(LONG) as api:
        image = await api.image()
        await api.server(image)  # the first one reads and builds what later ones find in memory
        with statements() as found:
            await until_quiet(found)
            monkeypatch.setattr(MemoryBus, "request", counted_request)
            monkeypatch.setattr(MemoryBus, "publish", counted_publish)
            for _ in range(ATTEMPTS):
                found.clear()
                sent.clear()
                assert (await api.create(image)).status_code == 202
                await until_quiet(found)
                own = [one for one in found if not is_of_sqlite(one)]
                commits = sum(one.startswith("COMMIT") for one in found)
                if len(own) <= STATEMENTS + SHARED and commits <= WRITES + NUMBERINGS and sent.total() <= MESSAGES:
                    break
    assert any("UPDATE instances" in one for one in own), own
    assert len(own) <= STATEMENTS + SHARED, "\n".join(own)
    assert commits <= WRITES + NUMBERINGS, "\n".join(found)
    assert sent.total() <= MESSAGES, sent


async def test_a_fetch_that_finds_nothing_is_a_read_of_one_statement() -> None:
    async with running_api({**LONG, ("DEFAULT", "action_poll_interval"): 0.2}) as api:
        await api.server(await api.image())
        with statements() as found:
            await until_looks(found, 3)  # (the first ones may still find the create)
            found.clear()
            await until_looks(found, 2)
    assert not any("LEFT OUTER JOIN actions" in one for one in found), found


async def until_looks(found: list[str], count: int) -> None:
    """Until a host has looked for work so many times."""
    while sum(one.startswith("SELECT services.epoch, EXISTS") for one in found) < count:  # noqa: ASYNC110 - no event
        await asyncio.sleep(0.05)


async def test_what_records_no_notification_looks_at_no_outbox() -> None:
    looks: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM outbox" in statement:
            looks.append(statement)

    async with running_api(LONG) as api:
        image = await api.image()
        event.listen(sa.Engine, "before_cursor_execute", note)
        try:
            await until_quiet(looks)
            looks.clear()
            body = {"flavor": {"name": "f", "vcpus": 1, "ram": 64, "disk": 1}}
            assert (await api.compute("POST", "/flavors", body)).status_code == 200
            await until_quiet(looks)
            assert looks == []
            await api.server(image)
            while not looks:  # noqa: ASYNC110 - no event
                await asyncio.sleep(0.05)
        finally:
            event.remove(sa.Engine, "before_cursor_execute", note)
