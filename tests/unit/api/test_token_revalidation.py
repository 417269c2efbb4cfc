# SPDX-License-Identifier: Apache-2.0
"""Whether tokens still hold: looked up once, at once after a change here, and soon after one elsewhere."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kilonova.api.http.token_revalidation import REMEMBERED, STANDING_S, TokenRevalidationCache
from kilonova.base.clock import SystemClock
from kilonova.base.errors import Unauthorized
from kilonova.db.writers import identity as write
from kilonova.identity.key_ring import OneKey
from kilonova.identity.tokens import Claims, Subject, TokenMinter
from kilonova.objects.identity import Assignment
from tests.make import database, run


class HandClock(SystemClock):
    """`at` seconds since it was made."""

    at = 0.0

    def monotonic(self) -> float:
        return self.at


class Desk:
    """One administrator's token, and a count of look-ups."""

    def __init__(self, directory: Path) -> None:
        self.clock, self.db, self.looks = HandClock(), database(directory), 0
        self.standings = TokenRevalidationCache(self.db, self.clock)
        self.minter = TokenMinter(OneKey(b"s" * 32), self.clock, 3600)
        self.claims = self.token()
        read = self.db.read

        async def counted(fn: Callable[..., Any], *args: Any) -> Any:
            self.looks += 1
            return await read(fn, *args)

        self.db.read = counted

    def token(self, tokens_from: datetime | None = None) -> Claims:
        subject = Subject("u1", "admin", "p1", "admin", ("admin",))
        return self.minter.mint(subject, (), tokens_from=tokens_from)[1]

    def roles(self, claims: Claims | None = None) -> tuple[str, ...]:
        return run(self.standings.roles_of(claims or self.claims))

    def change(self, fn: Callable[..., Any], *args: Any, **more: Any) -> None:
        run(self.db.write(fn, *args, **more))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_request_costs_no_look_up_but_the_first(desk: Desk) -> None:
    for _ in range(10):
        assert desk.roles() == ("admin", "member", "reader")
    assert desk.looks == 1
    desk.clock.at = STANDING_S
    desk.roles()
    assert desk.looks == 2


def test_a_change_elsewhere_holds_after_a_while_and_one_here_at_once(desk: Desk) -> None:
    desk.roles()
    desk.change(write.update_user, "u1", enabled=False)
    assert desk.roles()
    desk.clock.at = STANDING_S
    for _ in range(2):
        with pytest.raises(Unauthorized, match="no longer valid"):
            desk.roles()
    assert desk.looks == 2
    desk.change(write.update_user, "u1", enabled=True)
    desk.standings.forget()
    assert desk.roles()


def test_a_look_up_that_was_under_way_during_a_change_is_not_kept(desk: Desk) -> None:
    read = desk.db.read

    async def slow(fn: Callable[..., Any], *args: Any) -> Any:
        seen = await read(fn, *args)
        await desk.db.write(write.update_user, "u1", enabled=False)
        desk.standings.forget()
        return seen

    desk.db.read = slow
    assert desk.roles()  # begun before the change
    desk.db.read = read
    with pytest.raises(Unauthorized):
        desk.roles()


def test_a_token_minted_from_an_older_read_does_not_count_however_late_it_was_minted(desk: Desk) -> None:
    changed = desk.clock.now()
    desk.change(write.update_user, "u1", tokens_from=changed)
    for dead in (desk.claims, desk.token(), desk.token(changed - timedelta(microseconds=1))):
        with pytest.raises(Unauthorized):
            desk.roles(dead)
    assert desk.roles(desk.token(changed))


def test_a_token_minted_from_an_older_read_of_roles_has_not_the_one_that_was_taken(desk: Desk) -> None:
    desk.change(write.remove_role, Assignment("u1", "p1", "admin"))
    assert desk.roles(desk.token()) == ("member", "reader")


def test_who_waits_hears_of_a_change_here_at_once_and_of_others_after_a_while(desk: Desk) -> None:
    async def main() -> None:
        waiting = asyncio.ensure_future(desk.standings.changed())
        await asyncio.sleep(0)
        desk.standings.forget()
        await waiting

    run(main())


def test_only_so_many_are_remembered(desk: Desk) -> None:
    desk.claims = desk.token()
    for _ in range(50):
        desk.roles(desk.token())
    known = desk.standings._known  # pyright: ignore[reportPrivateUsage]
    filler = next(iter(known.values()))
    known.update({str(number): filler for number in range(REMEMBERED)})
    desk.roles()
    assert desk.claims.audit_ids[0] in known
    size = len(known)
    desk.roles(desk.token())
    assert len(known) == size
