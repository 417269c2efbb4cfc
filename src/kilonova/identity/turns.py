# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is where only one works at a time: fair by peer, then by user, with a bounded number of waiting."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from kilonova.base.errors import Overloaded

MOST_WAITING = 200
"""About ten seconds of work.  A client gives up on a longer queue anyway."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: `peer` is an address, or what stands for one; `user` whom the caller says to be.  `trusted` ones wait
    for nobody but each other, and are never refused."""

    peer: str = ""
    user: str = ""
    trusted: bool = False


_Place = asyncio.Future[None]


@dataclass(slots=True)
class _Peer:
    """One peer's waiting, by user; who is served goes to the end."""

    users: dict[str, deque[_Place]] = field(default_factory=dict[str, deque[_Place]])

    def __len__(self) -> int:
        return sum(map(len, self.users.values()))


class Turns:
    """Each peer with somebody waiting has the same share of the turns, within it each user, and within that the first
    comes first.  Beyond MOST_WAITING the last comer of who waits for most is refused: one that asks a lot refuses
    itself, and not the others."""

    def __init__(self) -> None:
        self._busy = False
        self._trusted: deque[_Place] = deque()
        self._peers: dict[str, _Peer] = {}

    @asynccontextmanager
    async def turn(self, asker: Asker) -> AsyncGenerator[None]:
        """Wait for the turn, and have it until left.  Raises Overloaded."""
        if self._busy:
            await self._wait(asker)
        self._busy = True
        try:
            yield
        finally:
            self._next()

    async def _wait(self, asker: Asker) -> None:
        place: _Place = asyncio.get_running_loop().create_future()
        lane = self._lane(asker)
        lane.append(place)
        self._refuse_beyond()
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                with suppress(ValueError):  # passed over already
                    lane.remove(place)
            elif place.exception() is None:  # the turn came, and nobody is there to take it
                self._next()
            raise

    def _lane(self, asker: Asker) -> deque[_Place]:
        if asker.trusted:
            return self._trusted
        return self._peers.setdefault(asker.peer, _Peer()).users.setdefault(asker.user, deque())

    def _refuse_beyond(self) -> None:
        if sum(map(len, self._peers.values())) <= MOST_WAITING:
            return
        fullest = max(self._peers.values(), key=len)
        lane = max(fullest.users.values(), key=len)
        place = lane.pop()
        if not place.done():
            place.set_exception(Overloaded("Too many log-ins wait already: try again in some seconds."))

    def _next(self) -> None:
        self._busy = False
        while (place := self._pop()) is not None:
            if not place.done():
                self._busy = True
                place.set_result(None)
                return

    def _pop(self) -> _Place | None:
        if self._trusted:
            return self._trusted.popleft()
        while self._peers:
            name, peer = next(iter(self._peers.items()))
            del self._peers[name]
            while peer.users:
                user, lane = next(iter(peer.users.items()))
                del peer.users[user]
                if lane:
                    place = lane.popleft()
                    if lane:
                        peer.users[user] = lane
                    if peer.users:
                        self._peers[name] = peer
                    return place
        return None
