# SPDX-License-Identifier: Apache-2.0
"""Leaving steps out of a plan that fails, until it fails with few (Zeller, Hildebrandt: Simplifying and isolating
failure-inducing input, 2002)."""

from collections.abc import Callable

Numbers = tuple[int, ...]


def shrunk(numbers: Numbers, fails: Callable[[Numbers], bool], runs: int) -> Numbers:
    """A part of `numbers` that still fails, by at most `runs` tries."""
    parts = 2
    while len(numbers) > 1 and runs > 0:
        size = -(-len(numbers) // parts)
        for begin in range(0, len(numbers), size):
            if runs <= 0:
                return numbers
            rest = numbers[:begin] + numbers[begin + size :]
            runs -= 1
            if fails(rest):
                numbers, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                return numbers
            parts = min(parts * 2, len(numbers))
    return numbers
