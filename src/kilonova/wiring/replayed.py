# SPDX-License-Identifier: Apache-2.0
"""What a replay shows: its entries, and the states of servers and actions as the conductor received and wrote them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from kilonova.objects.action import Action
from kilonova.objects.instance import Instance
from kilonova.record.log import Entry, Kind
from kilonova.record.player import Outcome, described
from kilonova.rpcapi.host_to_conductor import Finish

LONGEST = 400
"""Characters of a value in a line of the trace."""


@dataclass(slots=True)
class _Server:
    name: str
    state: str
    host: str


@dataclass(slots=True)
class _ActionSeen:
    server: str
    verb: str
    state: str


class Replayed:
    """Collects the states.  With `show` it also shows each entry as a line."""

    def __init__(self, show: Callable[[str], None] | None) -> None:
        self._show = show
        self._servers: dict[str, _Server] = {}
        self._actions: dict[str, _ActionSeen] = {}

    def watch(self, number: int, entry: Entry, value: object) -> None:
        """See kilonova.record.player.Watch."""
        if self._show is not None:
            text = "" if value is None else f" {value!r}"
            self._show(f"{number:>8} {Kind(entry[0]).name.lower():8} {described(entry)}{text[:LONGEST]}")
        for one in _inside(value):
            self._note(one)

    def _note(self, one: object) -> None:
        if isinstance(one, Instance):
            self._servers[one.id] = _Server(one.name, f"{one.vm_state}", one.host or "-")
        elif isinstance(one, Action):
            self._actions[one.id] = _ActionSeen(one.instance_id, f"{one.verb}", f"{one.state}")
        elif isinstance(one, Finish):
            self._finished(one)

    def _finished(self, report: Finish) -> None:
        action = self._actions.setdefault(report.leg.action_id, _ActionSeen("-", "-", ""))
        end = "done" if report.succeeded else "failed"
        action.state = f"leg {report.leg.index} {end}{f': {report.message}' if report.message else ''}"

    def lines(self) -> Iterator[str]:
        """The tables."""
        if self._servers:
            yield f"{'server':36}  {'state':12} {'host':12} name"
        for id_, server in sorted(self._servers.items()):
            yield f"{id_:36}  {server.state:12} {server.host:12} {server.name}"
        if self._actions:
            yield f"{'action':36}  {'verb':12} {'server':36} state"
        for id_, action in sorted(self._actions.items()):
            yield f"{id_:36}  {action.verb:12} {action.server:36} {action.state}"


def summary_of(outcome: Outcome) -> Iterator[str]:
    """The result of a replay in sentences."""
    yield (
        f"{outcome.entries} entries of {outcome.seconds:.1f} s: {outcome.messages} messages, {outcome.calls} calls; "
        f"the hash of all that was sent is {outcome.chain:08x}."
    )
    yield "Every call is the recorded one." if outcome.difference is None else str(outcome.difference)


def _inside(value: object) -> Iterator[object]:
    """The value and all values in it; a server has no other inside."""
    yield value
    if isinstance(value, Instance | Action):
        return
    if isinstance(value, Mapping):
        inner: Any = value.values()
    elif isinstance(value, tuple | list | set | frozenset):
        inner = value
    elif is_dataclass(value):
        inner = (getattr(value, field.name) for field in fields(value))
    else:
        return
    for one in inner:
        yield from _inside(one)
