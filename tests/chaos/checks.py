# SPDX-License-Identifier: Apache-2.0
"""What must hold at the end of a run.  Each function returns sentences, as the invariants of the simulation do."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kilonova.objects.states import VERBS, PowerState, Verb
from tests.chaos.records import Sight
from tests.chaos.schedule import Fault
from tests.simulation.explore import invariants as of
from tests.simulation.explore.truth import Truth

LATE_S = 150.0
"""As in the simulation: how much later than its deadline an action may end, besides the faults meanwhile."""

EVERYWHERE: Sequence[Callable[[Truth], Iterator[str]]] = (
    of.no_defect,
    of.accepted_is_recorded_once,
    of.each_action_has_an_outcome,
    of.one_action_is_open,
    of.one_server_per_key,
    of.ends_once,
    of.transitions_are_in_the_table,
    of.history_has_one_order,
    of.no_guest_runs_twice,
    of.no_start_is_repeated,
    of.claims_are_what_lives,
    of.quotas_are_what_lives,
    of.addresses_are_those_of_servers,
    of.images_are_their_files,
)
ON_FAKE_HOSTS = (of.each_server_has_its_guest, of.no_guest_without_a_server)

LOST = ("accepted_is_recorded_once", "each_server_has_its_guest", "each_real_server_has_its_guest")
DOUBLED = ("no_guest_runs_twice", "no_start_is_repeated", "one_server_per_key", "one_action_is_open", "ends_once")
STUCK = ("each_action_has_an_outcome", "each_action_ends_in_time", "rest")


@dataclass(frozen=True)
class Seen:
    """What the invariants compare, with what only real processes have.  `qemus`: host and domain of each guest that
    runs; `real`: the hosts with libvirt."""

    truth: Truth
    faults: Sequence[Fault] = ()
    sights: Iterable[Sight] = ()
    qemus: Sequence[tuple[str, str]] = ()
    real: frozenset[str] = frozenset()
    verified: Sequence[str] = ()
    logs: Mapping[str, str] | None = None


def broken(seen: Seen) -> list[str]:
    """Every breach, after the name of its check."""
    fake = [row for row in seen.truth.servers if row["host"] not in seen.real]
    on_fake = replace(seen.truth, servers=fake)
    found = [(check.__name__, check(seen.truth)) for check in EVERYWHERE]
    found += [(check.__name__, check(on_fake)) for check in ON_FAKE_HOSTS]
    found += [(check.__name__, check(seen)) for check in CHECKS]
    return [f"{name}: {sentence}" for name, sentences in found for sentence in sentences]


def each_action_ends_in_time(seen: Seen) -> Iterator[str]:
    """An action ends at its deadline, which moves while a fault holds its work; a delete has none.  A deadline and its
    check may be of two clocks that were stepped to different sides."""
    stepped_s = 2 * max((abs(fault.by_s) for fault in seen.faults), default=0.0)
    for sight in seen.sights:
        verb = sight.row["verb"]
        if verb == Verb.POWER_UPDATE or VERBS[Verb(verb)].until_done:
            continue
        allowed_s = sight.limit_s + LATE_S + stepped_s + _held_s(seen.faults, sight.first_s, sight.last_s)
        if sight.last_s - sight.first_s > allowed_s:
            taken = f"{sight.last_s - sight.first_s:.0f} s, of {allowed_s:.0f} s"
            yield f"The {verb} of server {sight.row['instance_id']} was open for {taken}."


def _held_s(faults: Iterable[Fault], begin_s: float, end_s: float) -> float:
    """The time from one moment to the other during which there was a fault."""
    held_s, until_s = 0.0, begin_s
    for fault in sorted(faults, key=lambda one: one.at_s):
        since, end = max(until_s, fault.at_s), min(end_s, fault.end_s)
        held_s += max(0.0, end - since)
        until_s = max(until_s, end)
    return held_s


def each_real_server_has_its_guest(seen: Seen) -> Iterator[str]:
    """An ACTIVE server on a host with libvirt has one QEMU there; a QEMU has a server."""
    there: dict[str, list[str]] = {}
    for host, name in seen.qemus:
        there.setdefault(name, []).append(host)
    named = {next((name for name in there if row["id"] in name), row["id"]): row for row in seen.truth.living}
    for name, row in named.items():
        hosts = there.get(name, [])
        runs = row["vm_state"] == "active" and row["power_state"] == PowerState.RUNNING
        wanted = [row["host"]] if row["host"] in seen.real and runs else hosts[:1]
        if hosts != wanted or (hosts and hosts[0] != row["host"]):
            yield f"Server {row['id']} ({row['vm_state']} on {row['host']}) has QEMUs on {hosts}."
    for name in there.keys() - named.keys():
        yield f"A QEMU of {name} runs on {there[name]}, without a server."


def verify_finds_nothing(seen: Seen) -> Iterator[str]:
    """`kilonova verify` has no difference.  A file that is not needed is none on a server whose state was reset: the
    next action does not see that the file is there."""
    exchanges = seen.truth.exchanges
    reset = [one.server for one in exchanges if one.verb.startswith("resetState") and (one.accepted or one.unknown)]
    for line in seen.verified:
        if not (line.startswith("file-kept ") and any(server in line for server in reset)):
            yield line


TRACEBACK = re.compile(r"^(?:Traceback.*|\s*│.*Error.*)$", re.MULTILINE)


def no_log_has_a_traceback(seen: Seen) -> Iterator[str]:
    """No process has logged an unexpected error."""
    for name, text in (seen.logs or {}).items():
        if found := TRACEBACK.search(text):
            yield f"The log of {name} has a traceback: {text[max(0, found.start() - 300) : found.end() + 1500]}"


CHECKS: Sequence[Callable[[Seen], Iterator[str]]] = (
    each_action_ends_in_time,
    each_real_server_has_its_guest,
    verify_finds_nothing,
    no_log_has_a_traceback,
)


def verdict(sentences: Iterable[str]) -> Counter[str]:
    """How many breaches mean lost, doubled and stuck; the others are "wrong"."""
    kinds = {**dict.fromkeys(LOST, "lost"), **dict.fromkeys(DOUBLED, "doubled"), **dict.fromkeys(STUCK, "stuck")}
    return Counter(kinds.get(one.split(":")[0], "wrong") for one in sentences)
