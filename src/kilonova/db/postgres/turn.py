# SPDX-License-Identifier: Apache-2.0
"""One attempt at a transaction, as its caller and its worker see it."""

import contextlib
import os
import socket
from enum import Enum, auto

import psycopg

from kilonova.base.threads import Lock


class Phase(Enum):
    """How far an attempt is."""

    WAITING = auto()
    """Its function was not called yet."""
    RUNNING = auto()
    """Nothing is committed, and nothing will be if the caller gives up."""
    COMMITTING = auto()
    """COMMIT was sent: the outcome is the server's."""
    GIVEN_UP = auto()
    """The worker ends it without a commit."""


class GivenUp(Exception):
    """The caller has given the attempt up.  Nobody waits for this."""


class Turn:
    """The phase of an attempt, and the socket of its connection, which another thread may cut: libpq waits for an
    answer without an end, also when the server is frozen."""

    def __init__(self, *, alone: bool = False, again: bool = False) -> None:
        self.alone = alone
        """Whether no other write runs at the same time."""
        self.again = again
        """Whether the function runs again after this attempt if a constraint is violated."""
        self._mutex = Lock()
        self._phase = Phase.WAITING
        self._socket: int | None = None
        self.taken = self.cut_off = False
        self.xid: str | None = None
        """The transaction's id on the server; None for a read."""
        self.server_run = ""
        """See connection.ServerRun."""
        self.result: object = None
        self.recorded = False
        """Whether the function has recorded a notification."""

    def take(self) -> None:
        """A worker has it.  Raises GivenUp."""
        with self._mutex:
            self._refuse_given_up()
            self.taken = True

    def use(self, connection: psycopg.Connection[object]) -> None:
        """The worker uses this connection from now on.  Raises GivenUp."""
        with self._mutex:
            self._refuse_given_up()
            self._socket = os.dup(connection.fileno())  # a number of our own: libpq's may belong to another file soon

    def enter(self, phase: Phase) -> None:
        """The worker is that far.  Raises GivenUp."""
        with self._mutex:
            self._refuse_given_up()
            self._phase = phase

    def leave(self) -> None:
        """The worker does not use its connection any more."""
        with self._mutex:
            if self._socket is not None:
                os.close(self._socket)
                self._socket = None

    def cut(self) -> None:
        """End the connection of the attempt: its worker returns at once."""
        with self._mutex:
            self.cut_off = True
            if self._socket is None:
                return
            with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self._socket)) as used:
                used.shutdown(socket.SHUT_RDWR)

    def give_up(self, *, running: bool) -> Phase:
        """Prevent the call of the function, and with `running` also the commit.  Returns the phase before."""
        with self._mutex:
            before = self._phase
            if before is Phase.WAITING or (running and before is Phase.RUNNING):
                self._phase = Phase.GIVEN_UP
            return before

    def _refuse_given_up(self) -> None:
        if self._phase is Phase.GIVEN_UP:
            raise GivenUp
