# SPDX-License-Identifier: Apache-2.0
"""Whether one order explains what clients saw of an object.

The search of Wing and Gong (Testing and verifying concurrent objects, 1993), with the memory of Lowe (Testing for
linearizability, 2017).  The object changes by itself, too: it is in a set of possible states.  An operation without an
answer may be anywhere after its invocation, or nowhere.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

S = TypeVar("S")
LIMIT = 20_000
"""The most steps of one search."""


@dataclass(frozen=True, slots=True)
class Operation(Generic[S]):
    """`apply` returns the states after it from one state; none: it is impossible there.  `ended` None: it has no
    answer."""

    text: str
    invoked: float
    ended: float | None
    apply: Callable[[S], frozenset[S]]

    def __str__(self) -> str:
        return self.text


class TooLarge(Exception):
    """The search was given up."""


def has_order(
    operations: Sequence[Operation[S]], start: frozenset[S], after: Callable[[frozenset[S]], frozenset[S]]
) -> bool:
    """Whether there is an order.  `after` adds the states that the object reaches by itself.  Raises TooLarge."""
    ordered = sorted(operations, key=lambda one: one.invoked)
    needed = sum(1 << number for number, one in enumerate(ordered) if one.ended is not None)
    reached: dict[int, frozenset[S]] = {0: after(start)}
    seen: dict[int, frozenset[S]] = {}
    steps = 0
    while reached:
        done, states = reached.popitem()
        if done & needed == needed:
            return True
        fresh = states - seen.get(done, frozenset())
        if not fresh:
            continue
        seen[done] = seen.get(done, frozenset()) | fresh
        for number in _next(ordered, done):
            steps += 1
            if steps > LIMIT:
                raise TooLarge
            results = frozenset(result for state in fresh for result in ordered[number].apply(state))
            if results:
                key = done | 1 << number
                reached[key] = reached.get(key, frozenset()) | after(results)
    return False


def _next(ordered: Sequence[Operation[S]], done: int) -> list[int]:
    """The operations that may be next: none that is left ended before their invocation."""
    left = [number for number in range(len(ordered)) if not done >> number & 1]
    first_end = min((end for number in left if (end := ordered[number].ended) is not None), default=float("inf"))
    return [number for number in left if ordered[number].invoked <= first_end]
