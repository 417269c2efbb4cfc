# SPDX-License-Identifier: Apache-2.0
"""What a replay shows: its entries, and the states of servers and actions as the conductor received and wrote them."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from kilonova.objects.action import Action
from kilonova.objects.instance import Instance
from kilonova.objects.states import ActionState
from kilonova.record.log import Entry, Kind
from kilonova.record.player import Outcome, described
from kilonova.rpcapi.host_to_conductor import Finish

LONGEST = 400
"""Characters of a value in a line of the trace."""


@dataclass(slots=True)
class _Work:
    """An action: its server, and how far it has come."""

    verb: str = "-"
    server: str = "-"
    state: str = "open"


class Replayed:
    """Collects the states.  With `show` it also shows each entry as a line."""

    def __init__(self, show: Callable[[str], None] | None) -> None:
        self._show = show
        self._servers: dict[str, Instance] = {}
        self._actions: dict[str, _Work] = {}

    def watch(self, number: int, entry: Entry, value: object) -> None:
        """See kilonova.record.player.Watch."""
        if self._show is not None:
            text = "" if value is None else f" {value!r}"
            self._show(f"{number:>8} {Kind(entry[0]).name.lower():8} {described(entry)}{text[:LONGEST]}")
        for one in _inside(value):
            if isinstance(one, Instance):
                self._servers[one.id] = one
            elif isinstance(one, Action):
                self._note(one)
            elif isinstance(one, Finish):
                self._finish(one)

    def _note(self, action: Action) -> None:
        work = self._actions.setdefault(action.id, _Work())
        work.verb, work.server = f"{action.verb}", action.instance_id
        if action.state is not ActionState.OPEN:  # (a read from before a report may come after it)
            work.state = f"{action.state}"

    def _finish(self, report: Finish) -> None:
        power = "absent" if report.power is None else report.power.name.lower()
        state = f"leg {report.leg.index} {'done' if report.succeeded else 'failed'}, guest {power}"
        work = self._actions.setdefault(report.leg.action_id, _Work())
        work.state = f"{state}: {report.message}" if report.message else state

    def lines(self) -> Iterator[str]:
        """The table of actions."""
        yield f"{'action':36}  {'verb':10} {'server':36}  {'host':12} state"
        for id_, work in sorted(self._actions.items()):
            server = self._servers.get(work.server)
            host = server.host if server is not None and server.host else "-"
            yield f"{id_:36}  {work.verb:10} {work.server:36}  {host:12} {work.state}"


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
