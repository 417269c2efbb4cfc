# SPDX-License-Identifier: Apache-2.0
"""What a host does for an action, compared with the record of the action at that moment."""

import json
from collections import Counter
from collections.abc import Callable, Collection

from kilonova.base.context import REQUEST_ID
from kilonova.objects.ids import InstanceId
from tests.simulation.explore.gates import GATE, Gate
from tests.simulation.explore.journal import Observer

SAME_STEP = 2
"""The most calls of one step that change a guest: a step that has begun is not cut off."""

_SUPERSEDED = "SELECT request_id FROM actions WHERE state = 'superseded' AND id IN (SELECT value FROM json_each(?))"
_ENDED_S = """
SELECT max(j.at) FROM journal AS j JOIN actions AS a ON j.id = a.id AND j.kind = 'action'
WHERE a.request_id = ? AND a.instance_id = ? AND a.state IN ('done', 'failed') AND NOT EXISTS (
    SELECT 1 FROM journal AS k WHERE k.kind = 'action' AND k.id = a.id AND k.before = 'abandoned' AND k.state = a.state)
"""


class Work:
    """Two rules of the work of hosts.  `breaches` are sentences.

    A host that reported work to a conductor, and had an answer, begins no further step of that work if its action was
    superseded before.  An action is not recorded as done or failed while a host is in the middle of a call for it.
    No breach are a process that stood still, a host that an operator gave up (`buried`), and an action that an operator
    interrupted and that does not go on: it ends when the operator takes the host back.
    """

    def __init__(self, observer: Observer, now: Callable[[], float], buried: Collection[tuple[str, str]]) -> None:
        self._observer, self._now, self._buried = observer, now, buried
        self._superseded: dict[str, frozenset[str]] = {}
        self._calls: dict[tuple[Gate, str], Counter[str]] = {}
        self.breaches: list[str] = []

    def sends(self, attempt: str, running: Collection[str]) -> None:
        """A host sends a fetch: these actions run there."""
        if running:
            rows = self._observer.rows(_SUPERSEDED, json.dumps(list(running)))
            self._superseded[attempt] = frozenset(row["request_id"] for row in rows)

    def receives(self, request: bytes, answer: bytes) -> None:
        """A process has an answer to a request."""
        head, _, body = request.partition(b"\n")
        gate = GATE.get()
        if gate is None or b'"fetch"' not in head or answer[:1] != b"+":
            return
        for request_id in self._superseded.get(json.loads(body)["attempt"], ()):
            self._calls.setdefault((gate, request_id), Counter())

    def begins(self, host: str, gate: Gate, call: str, guest: InstanceId) -> None:
        """A process begins a call that changes a guest."""
        calls = self._calls.get((gate, REQUEST_ID.get()))
        if calls is None:
            return
        calls[call] += 1
        if calls.total() == SAME_STEP + 1 and not gate.has_stood:
            self.breaches.append(f"At {self._now():.1f} s {host} begins {call} of {guest} for a superseded action.")

    def ends(self, host: str, gate: Gate, call: str, guest: InstanceId, began_s: float) -> None:
        """A call that changes a guest is over."""
        ended_s = self._observer.rows(_ENDED_S, REQUEST_ID.get(), guest)[0][0]
        if ended_s is None or ended_s <= began_s or gate.has_stood or gate.dead or (host, "") in self._buried:
            return
        self.breaches.append(f"At {ended_s:.1f} s the action of {guest} ended while {host} was in its call {call}.")
