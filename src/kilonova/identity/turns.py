# SPDX-License-Identifier: Apache-2.0
"""A fair queue for work that runs one at a time: fair by peer, then by user, with a bounded number of requests."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from kilonova.base.errors import Overloaded

MOST_WAITING = 200
"""About ten seconds of work.  A client does not wait longer for a reply."""


@dataclass(frozen=True, slots=True)
class Asker:
    """The source of a request: `peer` is an address, or another key for the peer; `user` is the claimed user.
    `trusted` requests wait only for each other, and are never refused."""

    peer: str = ""
    user: str = ""
    trusted: bool = False


_Place = asyncio.Future[None]


@dataclass(slots=True)
class _Peer:
    """The waiting requests of one peer, by user.  A user that gets a turn moves to the end."""

    users: dict[str, deque[_Place]] = field(default_factory=dict[str, deque[_Place]])

    def __len__(self) -> int:
        return sum(map(len, self.users.values()))


class Turns:
    """Each peer with waiting requests gets the same share of the turns, and so does each user of a peer; the requests
    of one user are served in order of arrival.  Beyond MOST_WAITING the newest request of the peer and user with the
    most waiting requests is refused: a client that sends many requests is refused itself, and others are not."""

    def __init__(self) -> None:
        self._busy = False
        self._trusted: deque[_Place] = deque()
        self._peers: dict[str, _Peer] = {}

    @asynccontextmanager
    async def turn(self, asker: Asker) -> AsyncGenerator[None]:
        """Wait for the turn, and keep it until the context ends.  Raises Overloaded."""
        if self._busy:
            await self._wait(asker)
        self._busy = True
        try:
            yield
        finally:
            self._next()

    async def _wait(self, asker: Asker) -> None:
        place: _Place = asyncio.get_running_loop().create_future()
        queue = self._queue_of(asker)
        queue.append(place)
        self._refuse_beyond()
        try:
            await place
        except asyncio.CancelledError:
            if place.cancelled():
                with suppress(ValueError):  # it was passed over already
                    queue.remove(place)
            elif place.exception() is None:  # the turn came, but its request was cancelled
                self._next()
            raise

    def _queue_of(self, asker: Asker) -> deque[_Place]:
        if asker.trusted:
            return self._trusted
        return self._peers.setdefault(asker.peer, _Peer()).users.setdefault(asker.user, deque())

    def _refuse_beyond(self) -> None:
        if sum(map(len, self._peers.values())) <= MOST_WAITING:
            return
        fullest = max(self._peers.values(), key=len)
        queue = max(fullest.users.values(), key=len)
        place = queue.pop()
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
                user, queue = next(iter(peer.users.items()))
                del peer.users[user]
                if queue:
                    place = queue.popleft()
                    if queue:
                        peer.users[user] = queue
                    if peer.users:
                        self._peers[name] = peer
                    return place
        return None
