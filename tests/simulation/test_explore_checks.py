# SPDX-License-Identifier: Apache-2.0
"""The checks of the exploration: each finds what it is there for, and does not find it in a good run."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kilonova.objects.states import PowerState
from tests.simulation.explore import invariants, traps
from tests.simulation.explore.aimed import AIMED as AIMED_TRAPS
from tests.simulation.explore.history import Exchange, Shown
from tests.simulation.explore.journal import Change
from tests.simulation.explore.ledger import POWER_LOST, Fetching, Moment
from tests.simulation.explore.linear import Operation, TooLarge, has_order
from tests.simulation.explore.plan import AIMED, FAULTS_AT_LEAST, TRAPS, plan_of
from tests.simulation.explore.server_model import explained, operations_of
from tests.simulation.explore.shrink import shrunk
from tests.simulation.explore.truth import Guest, Truth
from tests.simulation.explore.weather import Aim

S, HOST = "server", "h0"
ACTIVE = Shown("active", None, 1, HOST, locked=False)


def ask(verb: str, at_s: float, answered_s: float, code: int | None = 202, **words: Any) -> Exchange:
    return Exchange(0, 1, False, S, verb, at_s, 0, answered_s, 9, code, request_id=f"req-{at_s}", **words)


def see(vm: str, task: str | None, at_s: float, answered_s: float) -> Exchange:
    return ask("show", at_s, answered_s, 200, shown=Shown(vm, task, 1, HOST, locked=False))


# -- the register -----------------------------------------------------------------------------------------------------


def write(value: int, begin: float, end: float | None) -> Operation[int]:
    return Operation(f"write {value}", begin, end, lambda _: frozenset({value}))


def read(value: int, begin: float, end: float) -> Operation[int]:
    return Operation(f"read {value}", begin, end, lambda state: frozenset({state} if state == value else ()))


@pytest.mark.parametrize(
    ("operations", "good"),
    [
        ((write(1, 0, 1), read(1, 2, 3)), True),
        ((write(1, 0, 1), read(0, 2, 3)), False),
        ((write(1, 0, 5), read(0, 1, 2), read(1, 3, 4)), True),
        ((write(1, 0, 5), read(1, 1, 2), read(0, 3, 4)), False),
        ((write(1, 0, None), read(0, 1, 2), read(1, 8, 9)), True),
        ((write(1, 0, None), read(1, 1, 2), read(0, 8, 9)), False),
        ((write(1, 0, 1), write(2, 0, 1), read(2, 2, 3), read(1, 4, 5)), False),
    ],
)
def test_an_order_is_found_exactly_when_there_is_one(operations: tuple[Operation[int], ...], good: bool) -> None:
    assert has_order(operations, frozenset({0}), lambda states: states) is good


def test_a_long_history_costs_little_and_an_endless_search_is_given_up() -> None:
    one_by_one = [write(n, n, n + 0.5) for n in range(300)]
    assert has_order([*one_by_one, read(299, 900, 901)], frozenset({0}), lambda states: states)
    pending = [write(n, 0, None) for n in range(30)]
    with pytest.raises(TooLarge):
        has_order([*pending, read(-1, 1, 2)], frozenset({0}), lambda states: states)


@pytest.mark.parametrize(
    ("exchanges", "good"),
    [
        ((ask("stop", 1, 2), see("active", "powering-off", 3, 4), see("stopped", None, 5, 6)), True),
        ((see("active", None, 1, 2), ask("suspend", 3, 4), see("active", None, 3.5, 3.6)), True),
        ((see("active", None, 1, 2), ask("delete", 3, 4, 204), see("active", None, 5, 6)), False),
        ((see("active", None, 1, 2), ask("delete", 3, 4, None), see("active", None, 5, 6)), True),
        ((see("active", None, 1, 2), ask("start", 3, 4)), True),  # it may have shut itself down
        ((see("active", None, 1, 2), ask("unrescue", 3, 4)), False),
        ((see("active", None, 1, 2), see("building", "spawning", 3, 4)), False),
        (
            (
                ask("resize", 0, 0.5),
                see("resized", None, 1, 2),
                ask("stop", 3, 4, 409, message="Cannot 'stop' instance"),
            ),
            True,
        ),
        ((see("resized", None, 1, 2),), False),
        ((ask("lock", 1, 2), see("active", None, 3, 4)), False),
    ],
)
def test_what_clients_saw_of_a_server_is_judged_by_the_table(exchanges: tuple[Exchange, ...], good: bool) -> None:
    assert explained(operations_of(exchanges)[S]) is good


# -- the invariants ---------------------------------------------------------------------------------------------------

FLAVOR = {"id": "1", "vcpus": 1, "memory_mib": 512, "disk_gib": 1}


def server(**words: Any) -> dict[str, Any]:
    usual = {"id": S, "desired_power": 1, "shelved_image": None, "task_state": None,
             "project_id": "p1", "vm_state": "active", "power_state": 1, "host": HOST, "flavor": FLAVOR,
             "old_flavor": None, "new_flavor": None, "addresses": [{"address": "10.0.0.2"}]}  # fmt: skip
    return {"name": "s", "deleted_at": None, **usual, **words}


def action(**words: Any) -> dict[str, Any]:
    return {
        "id": "a",
        "request_id": "req-1",
        "instance_id": S,
        "verb": "stop",
        "state": "done",
        "deadline": 0,
        "ended_at": 0,
        "message": None,
        "started_at": 1,
        **words,
    }


NODE = {"host": HOST, "instances": 1, "vcpus_used": 1, "memory_mib_used": 512, "disk_gib_used": 1}
USAGE = {"project_id": "p1", "instances": 1, "cores": 1, "ram": 512}
GUEST = Guest(HOST, S, PowerState.RUNNING, saved=False, defined=True, rescued=False, flavor="1")
CREATED = Change(1, 0.0, "server", S, S, None, None, None, "active", None, 1, HOST, None, 1)
GOOD = Truth(
    servers=[server()],
    actions=[action()],
    nodes=[NODE],
    usages=[USAGE],
    addresses=[{"host": HOST, "instance_id": S}],
    images=[{"id": "i", "status": "active"}],
    files=frozenset({"i"}),
    guests=[GUEST],
    changes=[CREATED],
    exchanges=[ask("stop", 1, 2), replace(see("active", None, 3, 4), seq_before=1)],
)


def change(**words: Any) -> Callable[[Truth], Truth]:
    return lambda truth: replace(truth, **words)


def step(before: str, state: str, task: str | None = None) -> Change:
    return Change(2, 1.0, "server", S, S, None, None, before, state, task, 1, HOST, 1, 1)


def opened(action_id: str) -> Change:
    return acted("open", None, 2, action_id)


def acted(state: str, before: str | None, seq: int, action_id: str = "a", verb: str = "stop") -> Change:
    return Change(seq, seq, "action", action_id, S, verb, "r", before, state, None, None, None)


def other(kind: str, state: str = "", **words: Any) -> Change:
    return replace(Change(9, 9.0, kind, S, S, None, None, None, state, None, None, HOST), **words)


def moments(*states: tuple[float, PowerState | None, str]) -> dict[tuple[str, str], list[Moment]]:
    return {(HOST, S): [Moment(at_s, power, reason, network=True) for at_s, power, reason in states]}


RAN = (0.0, PowerState.RUNNING, "booted")
HANDED = other("legs", '[{"attempt": "t"}]', id="a")


BAD: dict[str, list[Callable[[Truth], Truth]]] = {
    "no_defect": [change(defects=["A process ended."])],
    "accepted_is_recorded_once": [
        change(actions=[]),
        change(exchanges=[ask("stop", 1, 2, 409)]),
        change(exchanges=[ask("delete", 1, 2, 204)]),
        change(exchanges=[ask("create", 1, 2)]),
    ],
    "each_action_has_an_outcome": [change(actions=[action(state="open")]), change(actions=[action(state="abandoned")])],
    "each_action_ends_in_time": [
        change(actions=[action(ended_at=200 * 10**6)]),
        change(actions=[action(ended_at=800 * 10**6)], hung=frozenset({S})),
    ],
    "one_action_is_open": [change(changes=[opened("a"), opened("b")])],
    "one_server_per_key": [change(servers=[server(), server(id="other")])],
    "ends_once": [change(changes=[acted("failed", "done", 2)])],
    "transitions_are_in_the_table": [
        change(changes=[step("deleted/", "active")]),
        change(changes=[step("resized/", "stopped", "powering-on")]),
        change(changes=[step("error/", "active", "unrescuing")]),
    ],
    "answers_are_what_the_database_held": [change(exchanges=[replace(see("stopped", None, 3, 4), seq_before=1)])],
    "history_has_one_order": [change(exchanges=[ask("delete", 1, 2, 204), see("active", None, 3, 4)])],
    "no_guest_runs_twice": [change(twice=["It lives on two machines."])],
    "no_start_is_repeated": [change(starts={(S, "token"): 3}, ends={S: 1})],
    "each_server_has_its_guest": [
        change(guests=[]),
        change(guests=[GUEST, replace(GUEST, machine="h1")]),
        change(guests=[replace(GUEST, power=PowerState.SHUTDOWN)]),
        change(servers=[server(vm_state="stopped")]),
        change(servers=[server(vm_state="suspended")]),
        change(servers=[server(vm_state="rescued")]),
        change(servers=[server(host=None)]),
        change(guests=[replace(GUEST, flavor="2")]),
        change(guests=[replace(GUEST, kept=True)]),
        change(guests=[replace(GUEST, snapshots=1)]),
        change(guests=[replace(GUEST, disk=False)]),
    ],
    "no_guest_without_a_server": [
        change(guests=[replace(GUEST, id="other")]),
        change(guests=[replace(GUEST, machine="h1")]),
    ],
    "claims_are_what_lives": [change(nodes=[{**NODE, "instances": 2}]), change(nodes=[{**NODE, "vcpus_used": 2}])],
    "quotas_are_what_lives": [change(usages=[{**USAGE, "ram": 0}])],
    "addresses_are_those_of_servers": [
        change(addresses=[{"host": HOST, "instance_id": "other"}]),
        change(servers=[server(), server(id="other")]),
    ],
    "a_state_agrees_with_its_power": [change(changes=[replace(step("active/x", "active"), power=4)])],
    "an_action_alone_changes_its_server": [
        change(changes=[replace(step("active/rebooting", "active", "rebooting"), power=4)]),
    ],
    "each_end_is_notified_once": [
        change(changes=[opened("a")]),
        change(changes=[acted("done", "open", 2)]),
        change(changes=[other("notice", "active"), other("notice", "active")]),
        change(changes=[CREATED, other("notice", "stopped", id="a.end")]),
    ],
    "actions_keep_their_order": [change(actions=[action(), action(id="b", started_at=0)],
                                        changes=[opened("a"), acted("open", None, 3, "b")])],
    "quotas_are_kept": [change(changes=[other("usage", power=3, power_before=2)])],
    "hosts_are_not_overfull": [change(nodes=[{**NODE, "vcpus_used": 5, "vcpus_capacity": 4}])],
    "an_address_outlives_its_guest": [change(changes=[other("freed address")], moments=moments(RAN))],
    "shown_powers_follow_the_guest": [
        change(changes=[replace(CREATED, power=4)], moments=moments(RAN)),
        change(changes=[replace(CREATED, power=4), replace(CREATED, seq=2, power_before=4)],
               moments=moments(RAN, (0.0, PowerState.SHUTDOWN, "destroyed"))),
    ],
    "work_is_handed_out_once": [
        change(changes=[HANDED], fetches={"t": Fetching(HOST, 0, frozenset({("a", 0)}))}),
        change(changes=[other("process", power=2), HANDED], fetches={"t": Fetching(HOST, 1, frozenset())}),
    ],
    "deadlines_are_not_early": [change(actions=[action(message="It did not end within its deadline.")],
                                       changes=[opened("a"), acted("failed", "open", 8)])],
    "hosts_keep_the_rules_of_calls": [change(calls=["A host begins a call."])],
    "a_crash_is_no_wish": [change(changes=[CREATED, replace(step("active/", "stopped"), desired=4)],
                                  moments=moments(RAN, (0.5, PowerState.CRASHED, "crashed")))],
    "a_boot_starts_what_should_run": [
        change(servers=[server(vm_state="stopped")], moments=moments(RAN, (2.0, PowerState.SHUTDOWN, POWER_LOST))),
        change(servers=[server(vm_state="stopped")], moments=moments(RAN, (2.5, PowerState.SHUTDOWN, POWER_LOST)),
               actions=[action(verb="pause", state="failed")], changes=[opened("a")]),
    ],
    "a_resized_server_can_go_back": [
        change(servers=[server(vm_state="resized")]),
        change(servers=[server(old_flavor=FLAVOR)]),
    ],
    "an_offloaded_server_has_its_image": [
        change(servers=[server(vm_state="shelved_offloaded", host=None)]),
        change(servers=[server(vm_state="shelved_offloaded", host=None, shelved_image={"id": "j"})],
               changes=[other("image deleted", id="j", seq=3), acted("open", None, 4, verb="shelveOffload")]),
    ],
    "the_last_copy_stays": [change(servers=[server(vm_state="error", host=None)], guests=[], moments=moments(RAN),
                                   actions=[action(verb="create")], tombstones=frozenset({(HOST, S)}))],
    "a_failure_keeps_the_power": [
        change(actions=[action(verb="resize")], moments=moments(RAN, (2.5, PowerState.SHUTDOWN, reason)),
               changes=[CREATED, acted("open", None, 2, verb="resize"), acted("failed", "open", 3, verb="resize")])
        for reason in ("destroyed", "shutdown")
    ],
    "addresses_are_on_the_host": [change(addresses=[{"host": "h1", "instance_id": S}])],
    "a_server_without_a_guest_shows_no_power": [change(guests=[])],
    "each_process_has_its_own_epoch": [change(changes=[other("process", power=2), other("process", power=2)])],
    "a_task_has_its_action": [change(servers=[server(task_state="spawning")])],
    "a_failure_has_its_true_reason": [
        change(actions=[action(state="failed", message=f"It did not begin within its deadline: {why}", legs=legs)])
        for why, legs in (("no host was found for it.", []), ("h0 never fetched it.", [{"attempt": "t"}]))
    ],
    "claims_are_never_too_large": [change(changes=[other("overfull", power=9, power_before=8)])],
    "a_failed_build_leaves_nothing": [
        change(servers=[server(vm_state="error")], actions=[action(verb="create", state="failed")]),
    ],
    "a_shelved_server_has_its_disks": [
        change(servers=[server(vm_state="shelved")], actions=[action(verb="unshelve", state="failed")], guests=[]),
    ],
    "no_image_waits_in_vain": [change(images=[{"id": "i", "status": "queued"}])],
    "images_are_their_files": [
        change(files=frozenset()),
        change(files=frozenset({"i", "j"})),
        change(images=[{"id": "i", "status": "saving"}]),
    ],
}  # fmt: skip


def test_a_good_run_breaks_nothing_and_each_invariant_has_its_breach() -> None:
    assert invariants.broken(GOOD) == []
    assert BAD.keys() == {check.__name__ for check in invariants.INVARIANTS}


@pytest.mark.parametrize(("name", "number"), [(name, n) for name, cases in BAD.items() for n in range(len(cases))])
def test_each_invariant_finds_its_breach(name: str, number: int) -> None:
    check = next(check for check in invariants.INVARIANTS if check.__name__ == name)
    assert list(check(BAD[name][number](GOOD)))


# -- plans ------------------------------------------------------------------------------------------------------------


def test_a_plan_follows_from_its_seed_and_a_part_of_it_is_a_plan() -> None:
    plan = plan_of(7)
    assert plan == plan_of(7)
    assert plan != plan_of(8)
    assert len(plan.steps) >= 50 + FAULTS_AT_LEAST
    assert set(TRAPS) == set(traps.TRAPS)
    assert (
        set(AIMED) == set(AIMED_TRAPS) == {one.what for seed in range(len(AIMED)) for one in plan_of(seed).phases()[1]}
    )
    part = plan.only({3, 5})
    assert [step.number for step in part.steps] == [3, 5]
    assert part.steps[0] == plan.steps[3]


def test_an_aim_meets_the_calls_that_it_names() -> None:
    aim = Aim("fails", skip=1, only=frozenset({"define"}), also=Aim("hangs", hang_s=3.0))
    assert [aim.fault(call) for call in ("define", "define", "power_on", "define")] == [
        ("hangs", 3.0), ("fails", 0.0), ("", 0.0), ("", 0.0),
    ]  # fmt: skip


def test_a_plan_is_shrunk_to_the_steps_that_matter() -> None:
    tries: list[tuple[int, ...]] = []

    def fails(numbers: tuple[int, ...]) -> bool:
        tries.append(numbers)
        return {11, 60} <= set(numbers)

    assert shrunk(tuple(range(80)), fails, 200) == (11, 60)
    few = len(tries)
    assert len(shrunk(tuple(range(80)), fails, 5)) > 2
    assert len(tries) == few + 5
