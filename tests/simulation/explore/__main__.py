# SPDX-License-Identifier: Apache-2.0
"""`make simulate SEEDS=n [FIRST=k]` runs many plans; `make simulate SEED=k [KEEP=1,2,...]` runs one, and tells it."""

import argparse
import gc
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from lab.progress import Terminal
from tests.simulation.explore.errors import watch_log
from tests.simulation.explore.history import History
from tests.simulation.explore.plan import AIMED, EDITS, FAULTS, TRAPS, Plan, plan_of
from tests.simulation.explore.run import Result, run
from tests.simulation.explore.shrink import shrunk
from tests.simulation.explore.story import told

SHRINK_RUNS, MOST_FAILURES = 60, 5
LIMIT_S = 60
"""The most CPU time of one run: nothing waits for real."""
GARBAGE = 2_000_000
"""Objects."""


def main() -> int:
    """The exit status: 1 when an invariant is broken."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="only this seed, and tell what happened")
    parser.add_argument("--keep", default="", help="only these steps of the seed's plan, with commas")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--stop", action="store_true", help="stop at the first broken seed, and do not shrink it")
    parser.add_argument("--without", default="", help="leave these seeds out, with commas")
    words = parser.parse_args()
    if words.seed is not None:
        return _one(words.seed, words.keep)
    without = {int(seed) for seed in words.without.split(",") if seed}
    seeds = [seed for seed in range(words.first, words.first + words.seeds) if seed not in without]
    return _many(seeds, words.processes, stop=words.stop)


def _one(seed: int, keep: str) -> int:
    _quiet()
    whole = plan_of(seed)
    plan = whole.only({int(number) for number in keep.split(",")}) if keep else whole
    result = attempt(plan)
    terminal = Terminal()
    terminal.line(told(plan, whole, result))
    terminal.line(f"History {result.hash}")
    return 1 if result.broken else 0


def _many(seeds: Sequence[int], processes: int, *, stop: bool) -> int:
    terminal, began = Terminal(), time.monotonic()
    results: list[Result] = []
    failed: list[Result] = []
    for result in _results(seeds, processes):
        results.append(result)
        failed += [result] if result.broken else []
        terminal.spin(f"{len(results)} of {len(seeds)} seeds, {len(failed)} broken", began)
        if stop and failed:
            break
    terminal.line("\n".join(_summary(results, time.monotonic() - began)))
    for result in sorted(failed, key=lambda one: one.seed)[:MOST_FAILURES]:
        terminal.line(f"\nSeed {result.seed} is broken: {result.broken[0]}" if stop else f"\n{_smallest(result.seed)}")
    if len(failed) > MOST_FAILURES:
        terminal.line("\nBroken seeds: " + ", ".join(str(seed) for seed in sorted(one.seed for one in failed)))
    return 1 if failed else 0


def _results(seeds: Iterable[int], processes: int) -> Iterator[Result]:
    if processes == 1:
        _quiet()
        yield from map(attempt_seed, seeds)
        return
    with multiprocessing.get_context("fork").Pool(processes, _quiet, maxtasksperchild=200) as pool:
        yield from pool.imap_unordered(attempt_seed, seeds, chunksize=1)


def _quiet() -> None:
    """Only unexpected errors are kept of the log; garbage is collected between runs only."""
    watch_log()
    gc.freeze()
    gc.disable()


def attempt_seed(seed: int) -> Result:
    """The result of a seed's plan."""
    result = attempt(plan_of(seed))
    if gc.get_count()[0] > GARBAGE:
        gc.collect()
    return result


def attempt(plan: Plan) -> Result:
    """The result of a plan; an exception is a broken run, and so is a run that does not end."""
    signal.signal(signal.SIGVTALRM, _endless)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
    try:
        return run(plan)
    except (Exception, Endless):
        none = Counter[str]()
        lines = traceback.format_exc()[-3000:]
        return Result(plan.seed, (f"The run ended with an exception: {lines}",), "", none, none, none, none, History())
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


class Endless(KeyboardInterrupt):
    """A run has used its CPU time and did not end."""


def _endless(_number: int, _frame: object) -> None:
    raise Endless


def _smallest(seed: int) -> str:
    """The story of the smallest plan that was found."""
    _quiet()
    whole = plan_of(seed)
    kinds = {sentence.split(":")[0] for sentence in attempt(whole).broken}

    def fails(numbers: tuple[int, ...]) -> bool:
        return any(sentence.split(":")[0] in kinds for sentence in attempt(whole.only(numbers)).broken)

    plan = whole.only(shrunk(tuple(step.number for step in whole.steps), fails, SHRINK_RUNS))
    return told(plan, whole, attempt(plan))


def _summary(results: Iterable[Result], took_s: float) -> list[str]:
    found = list(results)
    steps, verbs, outcomes, troubles = (
        sum((getattr(one, name) for one in found), Counter[str]())
        for name in ("steps", "verbs", "outcomes", "troubles")
    )
    faults, edits, traps = ({kind: steps[kind] for kind in kinds} for kinds in (FAULTS, EDITS, (*TRAPS, *AIMED)))
    least = min((one.actions for one in found), default=0)
    return [
        f"{len(found)} seeds in {took_s:.0f} s ({took_s / max(1, len(found)):.2f} s each), "
        f"{sum(one.actions for one in found)} requests (at least {least} a seed), "
        f"{sum((*faults.values(), *traps.values()))} faults.",
        f"Requests:  {_table(verbs)}",
        f"Edits:     {_table(edits)}",
        f"Faults:    {_table(faults)}",
        f"Traps:     {_table(traps)}",
        f"Effects:   {_table(troubles)}",
        f"Actions:   {_table(outcomes)}",
        f"Broken:    {sum(bool(one.broken) for one in found)} seeds",
    ]


def _table(counted: dict[str, int] | Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counted.items(), key=lambda item: -item[1]))


if __name__ == "__main__":
    sys.exit(main())
