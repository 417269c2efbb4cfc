# SPDX-License-Identifier: Apache-2.0
"""What must be true at the end of a run.  Each function returns sentences: what is wrong, and of what."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from kilonova.compute.runner import UNDO_S
from kilonova.objects.states import FINAL, OBSERVED, VERBS, ActionState, PowerState, Verb, VmState
from tests.simulation.explore.course import OF_THE_COURSE
from tests.simulation.explore.outcomes import OF_OUTCOMES
from tests.simulation.explore.server_model import explained, operations_of
from tests.simulation.explore.truth import Guest, Row, Truth, says_what_it_left

READS = frozenset({"show", "list", "actions"})
LIVE = (PowerState.RUNNING, PowerState.PAUSED)


def no_defect(truth: Truth) -> Iterator[str]:
    """No process ended without a reason, no request was answered with 500, no action stayed open."""
    yield from truth.defects


def accepted_is_recorded_once(truth: Truth) -> Iterator[str]:
    """Each request that was accepted has one action, which has ended.  Each that was refused has none."""
    by_request = {row["request_id"]: row for row in truth.actions}
    deleted = {row["id"] for row in truth.servers if row["deleted_at"] is not None}
    deleted |= {row["instance_id"] for row in truth.actions if (row["verb"], row["state"]) == (Verb.DELETE, "failed")}
    creates = Counter(row["instance_id"] for row in truth.actions if row["verb"] == Verb.CREATE)
    for one in truth.exchanges:
        if one.verb in READS or not one.request_id or one.verb in NO_ACTION:
            continue
        row, request = by_request.get(one.request_id), f"{one.verb} of server {one.server} ({one.request_id})"
        if one.accepted and one.verb in ("delete", "forceDelete"):
            if one.server not in deleted:
                yield f"The accepted {request} neither deleted it nor failed."
        elif one.accepted and one.verb == "create":
            if creates[one.server] != 1:
                yield f"The accepted {request} has {creates[one.server]} actions, not one."
        elif one.accepted and row is None:
            yield f"The accepted {request} has no action."
        elif not one.accepted and not one.unknown and row is not None:
            yield f"The refused {request} ({one.code} {one.message}) has an action, {row['state']}."


def each_action_has_an_outcome(truth: Truth) -> Iterator[str]:
    """Each action has ended.  None is abandoned: in the end each host was taken back or given up."""
    for row in truth.actions:
        if row["state"] not in FINAL:
            yield f"The {row['verb']} of server {row['instance_id']} is {row['state']} at the end."


LATE_S = 150
"""How much later than its deadline an action may end: its host stops its work, and may have to report it again."""


def each_action_ends_in_time(truth: Truth) -> Iterator[str]:
    """An action ends at its deadline, which moves while the work is not possible; a delete has none.  When a call of
    its guest does not return, its host tries to read the guest for UNDO_S more before it reports an unknown state."""
    for row in truth.actions:
        if row["ended_at"] is None or truth.jumped or _is_immediate(row) or VERBS[Verb(row["verb"])].until_done:
            continue
        late_s = (row["ended_at"] - row["deadline"]) / 1e6
        if late_s > LATE_S + (UNDO_S if row["instance_id"] in truth.hung else 0):
            yield f"The {row['verb']} of server {row['instance_id']} ended {late_s:.0f} s after its deadline."


def one_action_is_open(truth: Truth) -> Iterator[str]:
    """A server has at most one open action."""
    opened: dict[str, set[str]] = defaultdict(set)
    for change in truth.changes:
        if change.kind != "action" or _is_immediate({"verb": change.verb}):
            continue
        if change.state != ActionState.OPEN:
            opened[change.instance].discard(change.id)
            continue
        opened[change.instance].add(change.id)
        if len(opened[change.instance]) > 1:
            yield f"Server {change.instance} has two open actions, of which {change.verb} {change.id} is the second."


def one_server_per_key(truth: Truth) -> Iterator[str]:
    """A create that is sent again with its Idempotency-Key makes no second server."""
    names = Counter(row["name"] for row in truth.servers)
    yield from (
        f"There are {count} servers {name} of one Idempotency-Key." for name, count in names.items() if count > 1
    )


def _is_immediate(row: Row) -> bool:
    return row["verb"] == Verb.POWER_UPDATE or VERBS[Verb(row["verb"])].immediate


NO_ACTION = frozenset({"injectNetworkInfo", "cancel"})
"""Accepted without an action of their own."""


def ends_once(truth: Truth) -> Iterator[str]:
    """An action that has ended stays as it is; only an abandoned one is opened again, or given up."""
    for change in truth.changes:
        if change.kind == "action" and change.before in FINAL:
            yield f"Action {change.verb} {change.id} was {change.before} and became {change.state}."


RESET = ("active", "error", "stopped", "paused", "suspended")
"""The states that a reset of the state may give a server."""


OTHER_TASKS = {Verb.REBOOT: ("rebooting_hard",), Verb.CREATE: ("spawning",), Verb.UNSHELVE: ("spawning",)}
"""Tasks that a verb shows besides its own."""


def _edges() -> frozenset[tuple[str, str]]:
    """All changes (vm_state/task_state before, after) that the table of transitions permits."""
    found: set[tuple[str, str]] = set()
    vms = [one for one in VmState if one is not VmState.DELETED]
    for verb, rule in VERBS.items():
        tasks = [str(rule.task_state or ""), *OTHER_TASKS.get(verb, ())]
        for task in tasks:
            for vm in vms:
                ends = {vm, VmState.ERROR, rule.final_state or vm, VmState.STOPPED, VmState.ACTIVE}
                ends |= {OBSERVED.get((end, power), end) for end in tuple(ends) for power in PowerState}
                if vm in rule.allowed or verb is Verb.START:
                    found |= {
                        (f"{vm}/", f"{vm}/{task}"),
                        ("error/", f"{vm}/{task}"),
                    }  # (or an abandoned action continues)
                found |= {(f"{vm}/{task}", f"{end}/") for end in ends}
    found |= {("building/scheduling", "building/spawning"), ("building/spawning", "building/scheduling")}
    found.add(("error/", "building/scheduling"))
    found |= {(f"{vm}/", "shelved_offloaded/unshelving") for vm in ("active", "error", "stopped")}  # after a reset
    found |= {("shelved_offloaded/unshelving", "shelved_offloaded/spawning")}
    for vm in vms:
        found.add((f"{vm}/", f"{vm}/deleting"))
        found |= {(f"{vm}/", f"{OBSERVED.get((vm, power), vm)}/") for power in PowerState}
        found |= {(f"{vm}/{rule.task_state or ''}", f"{vm}/deleting") for rule in VERBS.values()}
        found |= {(f"{vm}/{task}", f"{vm}/deleting") for task in ("rebooting_hard", "spawning")}
        found |= {(f"{vm}/{rule.task_state or ''}", "deleted/") for rule in VERBS.values()}
        found |= {(f"{vm}/{task}", "deleted/") for task in ("rebooting_hard", "spawning", "")}
        found |= {(f"{vm}/{rule.task_state or ''}", "error/") for rule in VERBS.values()}
    found.add(("shelved/", "shelved_offloaded/"))
    return frozenset(found)


def _edges_of_reset() -> frozenset[tuple[str, str]]:
    """All further changes of a server whose state was reset: at once, beside an open action, and when its interrupted
    action continues in the state that the reset gave it."""
    tasks = (*(rule.task_state or "" for rule in VERBS.values()), "rebooting_hard", "spawning")
    vms = [one for one in VmState if one is not VmState.DELETED]
    found = {(f"{vm}/{task}", f"{state}/{task}") for vm in vms for task in tasks for state in RESET}
    return frozenset(found | {("error/", f"{state}/{task}") for task in tasks for state in RESET})


EDGES = _edges()
EDGES_OF_RESET = _edges_of_reset()


def transitions_are_in_the_table(truth: Truth) -> Iterator[str]:
    """No server made a step that the table does not have, and none changed after its deletion."""
    reset = {row["instance_id"] for row in truth.actions if row["verb"] == Verb.RESET_STATE}
    for change in truth.changes:
        if change.kind != "server" or change.before is None:
            continue
        after = f"{change.state}/{change.task or ''}"
        step = (change.before, after)
        if change.before != after and step not in EDGES and (change.id not in reset or step not in EDGES_OF_RESET):
            yield f"Server {change.id} went from {change.before} to {after}, which no verb and no report does."


def answers_are_what_the_database_held(truth: Truth) -> Iterator[str]:
    """A read shows a state that was committed between its invocation and its answer."""
    by_server: dict[str, list[tuple[int, tuple[str, str | None, int | None, str | None]]]] = defaultdict(list)
    for change in truth.changes:
        if change.kind == "server":
            by_server[change.id].append((change.seq, (change.state, change.task, change.power, change.host)))
    for one in truth.exchanges:
        if one.shown is None:
            continue
        seen = (one.shown.vm_state, one.shown.task_state, one.shown.power_state, one.shown.host)
        states = by_server[one.server]
        at_begin = [state for seq, state in states if seq <= one.seq_before][-1:]
        if seen not in [*at_begin, *(state for seq, state in states if one.seq_before < seq <= one.seq_after)]:
            yield f"A read of server {one.server} showed {one.shown}, which the database did not hold then."


def history_has_one_order(truth: Truth) -> Iterator[str]:
    """What all clients saw of a server can be explained by one order of their requests."""
    for server, operations in operations_of(truth.exchanges).items():
        if not explained(operations):
            seen = "; ".join(str(one) for one in operations)
            yield f"No order explains what clients saw of server {server}: {seen}"


def no_guest_runs_twice(truth: Truth) -> Iterator[str]:
    """At no time a guest lives on two machines."""
    yield from truth.twice


def no_start_is_repeated(truth: Truth) -> Iterator[str]:
    """One request starts a guest once, and once more for each time that it ended by itself or with its host.  A guest
    that a request makes after all parts of the former were removed is another guest: its process may have ended before
    it reported that its work was undone, and then the work is done again."""
    for (server, token), count in truth.starts.items():
        if count > 1 + truth.ends.get(server, 0):
            yield f"Guest {server} was started {count} times by one request ({token})."


def _guests(truth: Truth) -> dict[str, list[Guest]]:
    found: dict[str, list[Guest]] = defaultdict(list)
    for guest in truth.guests:
        found[guest.id].append(guest)
    return found


def each_server_has_its_guest(truth: Truth) -> Iterator[str]:
    """A server on a host has one guest there, in the power state that its vm_state says.  An operator's word (a reset)
    may hide that a server has no host or guest, or that its guest is in another state."""
    guests = _guests(truth)
    unclean = {row["instance_id"] for row in truth.actions if _leaves_parts(row)}
    reset = {
        one.server for one in truth.exchanges if one.verb.startswith("resetState") and (one.accepted or one.unknown)
    }
    for row in truth.living:
        if row["vm_state"] in ("error", "building") or row["id"] in truth.lost_guests:
            continue
        there = [guest for guest in guests[row["id"]] if guest.defined]
        wanted = [] if row["vm_state"] == "shelved_offloaded" else [row["host"]]
        if not there and row["vm_state"] in ("stopped", "shelved") and row["power_state"] == PowerState.NOSTATE:
            continue  # a server in ERROR was stopped, or an offload failed half-way: it shows that its guest is unknown
        if [guest.machine for guest in there] != wanted and (there or row["id"] not in reset):
            yield f"Server {row['id']} ({row['vm_state']} on {row['host']}) has guests on {[g.machine for g in there]}."
        elif row["id"] in reset:
            continue
        elif there and (why := _wrong_power(row, there[0])):
            yield f"Server {row['id']} is {row['vm_state']} and its guest is {there[0].power.name.lower()}{why}."
        elif there and row["id"] not in unclean and (why := _wrong_disks(row, there[0])):
            yield f"Server {row['id']} ({row['vm_state']}) has a guest {why}."


def _wrong_power(row: Row, guest: Guest) -> str:
    match row["vm_state"]:
        case "active" | "rescued":
            if guest.power is not PowerState.RUNNING and row["vm_state"] == "active":
                return "" if row["power_state"] == 0 else ", not running"
            if guest.rescued != (row["vm_state"] == "rescued"):
                return ", with the wrong disks"
        case "stopped" | "shelved":
            return ", not off" if guest.power in LIVE else ""
        case "paused":
            return "" if guest.power is PowerState.PAUSED else ", not paused"
        case "suspended":
            return "" if guest.power is PowerState.SUSPENDED else ", not saved"
    return ""


def _leaves_parts(row: Row) -> bool:
    """Whether the action reports that it left parts behind (also because an operator has interrupted it for good), or
    stopped half-way (it can be requested again); also a build that failed, after which there may be a guest without a
    disk."""
    halfway = row["state"] == ActionState.FAILED and row["verb"] in (Verb.CONFIRM_RESIZE, Verb.REVERT_RESIZE)
    unbuilt = row["state"] == ActionState.FAILED and row["verb"] == Verb.CREATE
    return says_what_it_left(row["message"]) or halfway or unbuilt


def _wrong_disks(row: Row, guest: Guest) -> str:
    if guest.flavor != row["flavor"]["id"]:
        return f"of flavor {guest.flavor}, not {row['flavor']['id']}"
    if guest.kept != (row["old_flavor"] is not None):
        return "with the disk of before a resize" if guest.kept else "without the disk of before its resize"
    if not guest.disk:
        return "without its disk"
    return "with a snapshot that no action needs" if guest.snapshots else ""


def no_guest_without_a_server(truth: Truth) -> Iterator[str]:
    """Nothing of a guest is on a host to which no server belongs; a host that was given up and has returned may have
    copies, which are off."""
    hosts = {row["id"]: row["host"] for row in truth.living}
    for guest in truth.guests:
        copy = (guest.machine, guest.id) in truth.tombstones and guest.power not in LIVE
        if hosts.get(guest.id) != guest.machine and not copy:
            yield f"Machine {guest.machine} has {guest}, and server {guest.id} is on {hosts.get(guest.id)}."


def claims_are_what_lives(truth: Truth) -> Iterator[str]:
    """The claims on each host are those of the servers that live there."""
    used: dict[str, Counter[str]] = defaultdict(Counter)
    for row in truth.living:
        if row["host"] is None:
            continue
        flavors = [flavor for flavor in (row["flavor"], row["old_flavor"], row["new_flavor"]) if flavor]
        used[row["host"]].update(
            vcpus=max(flavor["vcpus"] for flavor in flavors),
            memory=max(flavor["memory_mib"] for flavor in flavors),
            disk=max(flavor["disk_gib"] for flavor in flavors),
            servers=1,
        )
    for node in truth.nodes:
        if node["host"] in truth.gone:
            continue
        held = (node["instances"], node["vcpus_used"], node["memory_mib_used"], node["disk_gib_used"])
        want = used[node["host"]]
        wanted = (want["servers"], want["vcpus"], want["memory"], want["disk"])
        if held != wanted:
            yield f"Host {node['host']} holds {held} (servers, vCPUs, MiB, GiB), and its servers need {wanted}."


def quotas_are_what_lives(truth: Truth) -> Iterator[str]:
    """The usage of a project is that of its servers."""
    used: dict[str, Counter[str]] = defaultdict(Counter)
    for row in truth.living:
        now, later = row["flavor"], row["new_flavor"] or row["flavor"]
        cores, ram = (max(now[name], later[name]) for name in ("vcpus", "memory_mib"))
        used[row["project_id"]].update(instances=1, cores=cores, ram=ram)
    for usage in truth.usages:
        want = used[usage["project_id"]]
        held = (usage["instances"], usage["cores"], usage["ram"])
        if held != (want["instances"], want["cores"], want["ram"]):
            wanted = (want["instances"], want["cores"], want["ram"])
            yield f"The usage of project {usage['project_id']} is {held}, and its servers use {wanted}."


def addresses_are_those_of_servers(truth: Truth) -> Iterator[str]:
    """Each reserved address belongs to a living server; no two servers on a host have the same."""
    living = {row["id"] for row in truth.living}
    for address in truth.addresses:
        if address["instance_id"] not in living and address["host"] not in truth.gone:
            yield f"An address on {address['host']} is kept for server {address['instance_id']}, which is deleted."
    seen: Counter[tuple[str, str]] = Counter(
        (row["host"], one["address"]) for row in truth.living if row["host"] for one in row["addresses"] or ()
    )
    yield from (f"Address {address} on {host} has {n} servers." for (host, address), n in seen.items() if n > 1)


def images_are_their_files(truth: Truth) -> Iterator[str]:
    """Each image that has bytes has its file, and no file is left without its image."""
    active = {row["id"] for row in truth.images if row["status"] == "active"}
    for row in truth.images:
        if row["status"] not in ("active", "queued"):
            yield f"Image {row['id']} is {row['status']} at the end."
    if not truth.vanished:
        yield from (f"Image {image} has no file." for image in sorted(active - truth.files))
    yield from (f"File {name} of the image store has no image." for name in sorted(truth.files - active))


INVARIANTS: tuple[Callable[[Truth], Iterator[str]], ...] = (
    no_defect,
    accepted_is_recorded_once,
    each_action_has_an_outcome,
    each_action_ends_in_time,
    one_action_is_open,
    one_server_per_key,
    ends_once,
    transitions_are_in_the_table,
    answers_are_what_the_database_held,
    history_has_one_order,
    no_guest_runs_twice,
    no_start_is_repeated,
    each_server_has_its_guest,
    no_guest_without_a_server,
    claims_are_what_lives,
    quotas_are_what_lives,
    addresses_are_those_of_servers,
    images_are_their_files,
    *OF_THE_COURSE,
    *OF_OUTCOMES,
)


def broken(truth: Truth) -> list[str]:
    """Every breach, with the name of its invariant."""
    return [f"{check.__name__}: {sentence}" for check in INVARIANTS for sentence in check(truth)]
