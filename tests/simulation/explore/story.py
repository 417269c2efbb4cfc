# SPDX-License-Identifier: Apache-2.0
"""A run that failed, told in plain lines."""

from collections.abc import Collection

from tests.simulation.explore.plan import Plan
from tests.simulation.explore.run import Result

MOST = 12


def command(plan: Plan, whole: Plan) -> str:
    """The command that runs this plan again."""
    words = f"make simulate SEED={plan.seed}"
    if len(plan.steps) == len(whole.steps):
        return words
    return f"{words} KEEP={','.join(str(step.number) for step in plan.steps)}"


def told(plan: Plan, whole: Plan, result: Result) -> str:
    """What happened, what is broken, and how to run it again."""
    lines = [
        f"Seed {plan.seed}: {plan.hosts} hosts, {plan.conductors} conductors, "
        f"{len(plan.steps)} of {len(whole.steps)} steps.",
        *_happened(result),
        "Broken:",
        *_first(result.broken),
        f"Run it again: {command(plan, whole)}",
    ]
    return "\n".join(lines)


def _happened(result: Result) -> list[str]:
    events = [(at_s, f"{at_s:8.2f} s  {text}") for at_s, text in result.history.events]
    exchanges = [(one.invoked_s, str(one)) for one in result.history.exchanges]
    return [f"  {text}" for _, text in sorted(events + exchanges)]


def _first(sentences: Collection[str]) -> list[str]:
    shown = [f"  {one}" for one in list(sentences)[:MOST]]
    return [*shown, f"  and {len(sentences) - MOST} more"] if len(sentences) > MOST else shown
