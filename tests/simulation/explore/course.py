# SPDX-License-Identifier: Apache-2.0
"""What must be true at each moment of a run, by the journal of the database and the moments of the guests.  Each
function returns sentences: what is wrong, and of what."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache

from kilonova.objects.states import OBSERVED, VERBS, ActionState, PowerState, Transition, Verb, VmState
from tests.simulation.explore.journal import Change
from tests.simulation.explore.ledger import POWER_LOST, Moment
from tests.simulation.explore.truth import Truth, says_what_it_left

FOREVER = float("inf")
ENDS = {ActionState.DONE: ".end", ActionState.FAILED: ".error", ActionState.CANCELLED: ".error"}
"""The phase of the notification of each end."""


@cache
def rule_of(verb: str | None) -> Transition | None:
    """The transition of a verb that is requested and that a host does; None for others."""
    rule = VERBS.get(Verb(verb)) if verb and verb != Verb.POWER_UPDATE else None
    return None if rule is None or rule.immediate else rule


def _of_servers(truth: Truth) -> Iterator[Change]:
    return (change for change in truth.changes if change.kind == "server" and change.before is not None)


def a_state_agrees_with_its_power(truth: Truth) -> Iterator[str]:
    """No server that rests shows a state that its own power state contradicts."""
    for change in _of_servers(truth):
        if change.task is None and (VmState(change.state), change.power) in OBSERVED:
            power = PowerState(change.power or 0).name
            yield f"At {change.at_s:.1f} s server {change.id} shows {change.state} with the power state {power}."


def an_action_alone_changes_its_server(truth: Truth) -> Iterator[str]:
    """While an action of a server is open, no report changes the power state that the server shows."""
    for change in _of_servers(truth):
        task = (change.before or "").partition("/")[2]
        if task and change.task == task and change.power != change.power_before:
            yield (
                f"At {change.at_s:.1f} s the power state of server {change.id} ({change.state}/{task}) changed from "
                f"{change.power_before} to {change.power} in the middle of its action."
            )


def each_end_is_notified_once(truth: Truth) -> Iterator[str]:
    """An action has one notification of its begin, and one of its end, which has the state that the end recorded."""
    notices = Counter(change.id for change in truth.changes if change.kind == "notice")
    yield from (f"Notification {id_} was recorded {count} times." for id_, count in notices.items() if count > 1)
    for change in truth.changes:
        if change.kind != "action" or (rule_of(change.verb) is None):
            continue
        begins = change.before is None
        phase = ".start" if begins else ENDS.get(ActionState(change.state))
        if phase is not None and notices[f"{change.id}{phase}"] != 1:
            yield f"Action {change.verb} {change.id} became {change.state} without its notification {phase}."
    states: dict[str, str] = {}
    for change in truth.changes:
        if change.kind == "server":
            states[change.id] = change.state
        ends = change.kind == "notice" and change.id.endswith((".end", ".error"))
        if ends and (state := states.get(change.instance, change.state)) != change.state:
            yield f"Notification {change.id} has the state {change.state}, and not {state}."


def actions_keep_their_order(truth: Truth) -> Iterator[str]:
    """The actions of a server are listed in the order in which they were recorded, whatever the clocks show."""
    order = {change.id: change.seq for change in truth.changes if change.kind == "action" and change.before is None}
    newest: dict[str, tuple[int, str]] = {}
    for row in sorted(truth.actions, key=lambda row: order.get(row["id"], 0)):
        before, name = newest.get(row["instance_id"], (-1, ""))
        if row["started_at"] <= before:
            yield f"The {row['verb']} of server {row['instance_id']} is listed before the {name}, which is older."
        newest[row["instance_id"]] = (row["started_at"], row["verb"])


def quotas_are_kept(truth: Truth) -> Iterator[str]:
    """No request is accepted beyond a quota."""
    for change in truth.changes:
        if (
            change.kind == "usage"
            and change.power_before is not None
            and (change.power or 0) > change.power_before >= 0
        ):
            most = change.power_before
            yield f"At {change.at_s:.1f} s project {change.id} has {change.power} servers, and may have {most}."


def hosts_are_not_overfull(truth: Truth) -> Iterator[str]:
    """The claims on a host are not more than it has."""
    for node in truth.nodes:
        for name in ("vcpus", "memory_mib", "disk_gib"):
            used, most = node[f"{name}_used"], node.get(f"{name}_capacity", node[f"{name}_used"])
            if used > most:
                yield f"Host {node['host']} holds {used} of its {most} {name}."


def an_address_outlives_its_guest(truth: Truth) -> Iterator[str]:
    """An address is free only when no guest has it any more, on a host that is not given up."""
    for change in truth.changes:
        if change.kind != "freed address" or (change.host, "") in truth.buried:
            continue
        there = _at(truth.moments.get((change.host or "", change.instance), ()), change.at_s)
        if there is not None and there.network:
            yield f"At {change.at_s:.1f} s an address of {change.host} is free, and guest {change.instance} has it."


def _at(moments: Sequence[Moment], at_s: float) -> Moment | None:
    return next((moment for moment in reversed(moments) if moment.at_s <= at_s), None)


def shown_powers_follow_the_guest(truth: Truth) -> Iterator[str]:
    """The power states that a server shows on a host are those of its guest, in their order: none comes back from an
    older read."""
    places: dict[tuple[str, str], int] = {}
    for change in truth.changes:
        if change.kind != "server" or change.power in (None, PowerState.NOSTATE) or change.power == change.power_before:
            continue
        key = (change.host or "", change.id)
        moments = truth.moments.get(key)
        if not moments:
            continue
        place, wanted = places.get(key, 0), change.power
        found = next((n for n in range(place, len(moments)) if moments[n].power == wanted), None)
        if found is None or moments[found].at_s > change.at_s:
            yield f"At {change.at_s:.1f} s server {change.id} shows {PowerState(wanted or 0).name}, from an old read."
            return
        places[key] = found


def work_is_handed_out_once(truth: Truth) -> Iterator[str]:
    """A host receives no leg that it runs already, and only its newest process receives any."""
    epochs: dict[str, int] = {}
    known: dict[tuple[str, int], str | None] = {}
    for change in truth.changes:
        if change.kind == "process":
            epochs[change.host or ""] = change.power or 0
        if change.kind != "legs":
            continue
        for index, leg in enumerate(json.loads(change.state)):
            attempt, key = leg.get("attempt"), (change.id, index)
            fetching = truth.fetches.get(attempt or "")
            if known.get(key) == attempt or fetching is None:
                continue
            known[key] = attempt
            if key in fetching.running:
                yield f"At {change.at_s:.1f} s {fetching.host} received leg {index} of {change.id}, which it runs."
            if fetching.epoch != epochs.get(fetching.host):
                yield f"At {change.at_s:.1f} s a process of {fetching.host} that was replaced received {change.id}."


def deadlines_are_not_early(truth: Truth) -> Iterator[str]:
    """An action fails for its deadline only after that much time, however the clocks jump."""
    began: dict[str, float] = {}
    late = {row["id"]: row for row in truth.actions if "within its deadline" in (row["message"] or "")}
    for change in truth.changes:
        if change.kind == "action" and change.id in late:
            rule, begin_s = rule_of(change.verb), began.setdefault(change.id, change.at_s)
            if rule is not None and change.state == ActionState.FAILED and change.at_s - begin_s < rule.deadline_s - 1:
                after_s = change.at_s - begin_s
                yield f"The {change.verb} of {change.instance} failed for its deadline after {after_s:.0f} s."


def hosts_keep_the_rules_of_calls(truth: Truth) -> Iterator[str]:
    """A guest is changed only for an open action of its server.  A host waits for the end of each call that changes it.
    It leaves only a shutdown, a suspend and a resume, when their action is superseded, interrupted by an operator, or
    past its deadline, and a shutdown also when it is cancelled."""
    yield from truth.calls


def a_crash_is_no_wish(truth: Truth) -> Iterator[str]:
    """A guest that died, or whose host lost its power, is still meant to run."""
    for change in _of_servers(truth):
        rests = change.task is None and change.before is not None and change.before.endswith("/")
        if not rests or change.desired != PowerState.SHUTDOWN or change.state not in ("stopped", "active"):
            continue
        moments = truth.moments.get((change.host or "", change.id), ())
        reasons = {m.reason for m in moments if m.power is PowerState.SHUTDOWN and m.at_s <= change.at_s}
        if moments and wished(truth, change) == PowerState.RUNNING and not reasons - {"", POWER_LOST, "failed"}:
            yield f"At {change.at_s:.1f} s server {change.id} is meant to be off: nobody has switched it off."


def wished(truth: Truth, change: Change) -> int | None:
    """The desired power state of a server before this change."""
    before = [one for one in truth.changes if one.kind == "server" and one.id == change.id and one.seq < change.seq]
    return before[-1].desired if before else None


def a_boot_starts_what_should_run(truth: Truth) -> Iterator[str]:
    """A guest that should run, and was off only because its host was, is started when the host boots, unless a request
    failed since.  What was in progress at the boot, and failed, is no excuse, and neither is a guest that could not be
    read."""
    begun = {change.id: change.at_s for change in truth.changes if change.kind == "action" and change.before is None}
    excused: dict[str, float] = {}
    for action in truth.actions:
        at_s = FOREVER if action["state"] == ActionState.ABANDONED else begun.get(action["id"], 0.0)
        if action["state"] in (ActionState.FAILED, ActionState.CANCELLED, ActionState.ABANDONED):
            excused[action["instance_id"]] = max(excused.get(action["instance_id"], 0.0), at_s)
    for row in truth.living:
        should = row["desired_power"] == PowerState.RUNNING and row["vm_state"] == VmState.STOPPED
        moments = truth.moments.get((row["host"] or "", row["id"]), ())
        if should and moments and moments[-1].reason == POWER_LOST and excused.get(row["id"], -1) < moments[-1].at_s:
            yield f"Server {row['id']} should run: its host {row['host']} has booted, and did not start it."


def a_resized_server_can_go_back(truth: Truth) -> Iterator[str]:
    """A server keeps what it had before a resize exactly while the resize waits for its confirmation."""
    for row in truth.living:
        kept, resized = row["old_flavor"] is not None, row["vm_state"] == VmState.RESIZED
        if kept != resized and row["vm_state"] != VmState.ERROR:
            has = "with" if kept else "without"
            yield f"Server {row['id']} is {row['vm_state']} {has} the flavor before its resize."


def an_offloaded_server_has_its_image(truth: Truth) -> Iterator[str]:
    """A server leaves its host only while its image exists."""
    active = {row["id"] for row in truth.images if row["status"] == "active"}
    deleted = {change.id: change.seq for change in truth.changes if change.kind == "image deleted"}
    offered = {
        change.instance: change.seq
        for change in truth.changes
        if change.kind == "action" and change.before is None and change.verb == Verb.SHELVE_OFFLOAD
    }
    for row in truth.living:
        image = (row.get("shelved_image") or {}).get("id")
        if row["vm_state"] != VmState.SHELVED_OFFLOADED or image in active:
            continue
        if image is None or deleted.get(image, 0) < offered.get(row["id"], 0):
            yield f"Server {row['id']} has left its host, and its image {image} was deleted before."


def the_last_copy_stays(truth: Truth) -> Iterator[str]:
    """Hosts that were given up and are back keep the last copy of a server that was built and is nowhere else."""
    built = {
        row["instance_id"] for row in truth.actions if (row["verb"], row["state"]) == (Verb.CREATE, ActionState.DONE)
    }
    somewhere = {guest.id for guest in truth.guests} | truth.lost_guests
    for row in truth.living:
        if row["host"] is not None or row["vm_state"] != VmState.ERROR or row["id"] not in built - somewhere:
            continue
        hosts = {host for host, server in truth.tombstones if server == row["id"]}
        had = [host for host in hosts if any(one.power is not None for one in truth.moments.get((host, row["id"]), ()))]
        if had and not hosts & truth.gone:
            yield f"The last copy of server {row['id']} was removed from {' and '.join(sorted(had))}."


def a_failure_keeps_the_power(truth: Truth) -> Iterator[str]:
    """A guest that ran before an action that failed, and was undone, runs again, or the end of the action also recorded
    a start of the guest."""
    shown: dict[str, int | None] = {}
    begins: dict[str, tuple[float, int | None]] = {}
    messages: Mapping[str, str | None] = {row["id"]: row["message"] for row in truth.actions}
    starts = {
        (one.instance, one.at_s)
        for one in truth.changes
        if one.kind == "action" and one.before is None and one.verb == Verb.START
    }
    for change in truth.changes:
        if change.kind == "server":
            shown[change.id] = change.power
        elif change.kind == "action" and change.before is None:
            begins[change.id] = (change.at_s, shown.get(change.instance))
        elif change.kind == "action" and change.state in (ActionState.FAILED, ActionState.CANCELLED):
            at_s, power = begins[change.id]
            unclean = says_what_it_left(messages[change.id]) or (change.instance, change.at_s) in starts
            if change.verb in UNDONE and power == PowerState.RUNNING and not unclean:
                yield from _is_off(truth, change, at_s)


RESTARTED = (Verb.RESIZE, Verb.RESCUE)
"""Their undo itself starts a guest that they have shut down."""
UNDONE = (Verb.RESIZE, Verb.CREATE_IMAGE, Verb.CREATE_BACKUP, Verb.SHELVE, Verb.RESCUE)


def _is_off(truth: Truth, change: Change, since_s: float) -> Iterator[str]:
    for (machine, server), moments in truth.moments.items():
        now = _at(moments, change.at_s)
        if server != change.instance or now is None or now.power is not PowerState.SHUTDOWN:
            continue
        usual = {"destroyed", "booted"} | ({"shutdown"} if change.verb in RESTARTED else set[str]())
        others = {m.reason for m in moments if since_s <= m.at_s <= change.at_s} - usual
        was = _at(moments, since_s)
        if was is not None and was.power is PowerState.RUNNING and not others:
            yield f"The {change.verb} of {server} failed at {change.at_s:.1f} s, and left its guest on {machine} off."


def addresses_are_on_the_host(truth: Truth) -> Iterator[str]:
    """A server that has a host has its addresses there only."""
    hosts: dict[str, str | None] = {row["id"]: row["host"] for row in truth.living}
    for address in truth.addresses:
        host = hosts.get(address["instance_id"])
        if host is not None and address["host"] not in ("", host):
            yield f"Server {address['instance_id']} is on {host}, and keeps an address on {address['host']}."


def a_server_without_a_guest_shows_no_power(truth: Truth) -> Iterator[str]:
    """A server whose guest is not on its host does not show a power state of it."""
    there = {(guest.machine, guest.id) for guest in truth.guests if guest.defined}
    for row in truth.living:
        host, power = row["host"], row["power_state"]
        if host is not None and host not in truth.gone and (host, row["id"]) not in there and power:
            yield f"Server {row['id']} ({row['vm_state']}) shows {PowerState(power).name}, and has no guest on {host}."


OF_THE_COURSE = (
    a_state_agrees_with_its_power,
    an_action_alone_changes_its_server,
    each_end_is_notified_once,
    actions_keep_their_order,
    quotas_are_kept,
    hosts_are_not_overfull,
    an_address_outlives_its_guest,
    shown_powers_follow_the_guest,
    work_is_handed_out_once,
    deadlines_are_not_early,
    hosts_keep_the_rules_of_calls,
    a_crash_is_no_wish,
    a_boot_starts_what_should_run,
    a_resized_server_can_go_back,
    an_offloaded_server_has_its_image,
    the_last_copy_stays,
    a_failure_keeps_the_power,
    addresses_are_on_the_host,
    a_server_without_a_guest_shows_no_power,
)
