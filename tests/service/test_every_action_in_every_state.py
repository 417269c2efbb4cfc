# SPDX-License-Identifier: Apache-2.0
"""Each action of a server, asked for in each vm_state: answered as the table of verbs says; refused without a trace.

Made from VERBS and the table of actions.  A new verb is here by being in both; one that needs more than its name in the
request's body wants an example in BODIES.  There is no host: what is accepted is recorded, and nothing comes of it.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from kilonova.api.compute.servers.actions.table import ACTIONS
from kilonova.api.http.microversion import MAX
from kilonova.api.http.route import DefaultPolicy
from kilonova.conductor.hosts import register
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers import instances as read_instances
from kilonova.db.writers import actions as write_actions
from kilonova.db.writers import identity as write_identity
from kilonova.db.writers import instances as write_instances
from kilonova.db.writers import migrations as write_migrations
from kilonova.identity.key_ring import OneKey
from kilonova.identity.tokens import Subject, TokenMinter
from kilonova.objects.action import Action
from kilonova.objects.identity import Assignment, User
from kilonova.objects.ids import ActionId, FlavorId, HostName, ImageId, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.leg import one_leg
from kilonova.objects.migration import Migration, MigrationStatus
from kilonova.objects.service import ComputeNode
from kilonova.objects.states import VERBS, ActionState, Transition, Verb, VmState
from kilonova.rpcapi.host_to_conductor import RegisterHost, ReportInventory
from tests import make, params
from tests.simulation.virtual import run_virtually
from tests.simulation.world import World, simulated

WITHOUT_A_VERB = frozenset(
    {"os-getConsoleOutput", "os-getSerialConsole", "os-getVNCConsole", "restore", "migrate", "os-migrateLive"}
    | {"evacuate", "addSecurityGroup", "removeSecurityGroup", "injectNetworkInfo", "resetNetwork"}
)
"""Actions that only read or change nothing, and some that are never possible."""

NAMES: Mapping[str, Verb] = {"forceDelete": Verb.DELETE}
"""Actions called otherwise than their verb, but for the prefix."""

IMAGE = "$image"
"""Stands for the id of an image that a server can be made of."""

BODIES: Mapping[str, Any] = {
    "reboot": {"type": "HARD"},
    "resize": {"flavorRef": "2"},
    "lock": {"locked_reason": "because"},
    "os-resetState": {"state": "error"},
    "rescue": {},
    "rebuild": {"imageRef": IMAGE},
    "createImage": {"name": "image"},
    "createBackup": {"name": "image", "backup_type": "daily", "rotation": 1},
}
"""What comes under the action's name where that is not null."""

STATES = [state for state in VmState if state is not VmState.DELETED]


def verb_of(action: str) -> Verb | None:
    """The verb behind an action's name."""
    if action in NAMES:
        return NAMES[action]
    if action == "evacuate":  # it needs a server whose host was given up (test_api_evacuate)
        return None
    return next((verb for verb in VERBS if verb in (action, action.removeprefix("os-"))), None)


VERB_ACTIONS = {action: verb for action in ACTIONS if (verb := verb_of(action)) is not None}


def test_every_action_has_a_verb_and_every_verb_an_action() -> None:
    assert set(ACTIONS) - set(VERB_ACTIONS) <= WITHOUT_A_VERB
    by_other_routes = {Verb.CREATE, Verb.DELETE, Verb.EVACUATE}
    assert set(VERBS) - by_other_routes <= set(VERB_ACTIONS.values())


@asynccontextmanager
async def recording(state: Path) -> AsyncGenerator[World]:
    """An API and a conductor; `h1` has registered and is never heard of again."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(simulated(1, state, hosts=(), loss=0, doubling=0))
        world.http.headers["OpenStack-API-Version"] = f"compute {MAX}"
        now = world.clock.now()
        request = RegisterHost(make.HOST, "process-1", "node-1", "boot", "kilonova-compute", "compute", 1, "nova")
        epoch = await world.db.write(register.register, request, "service-1", now)
        inventory = make.inventory(vcpus_capacity=1000, memory_mib_capacity=10**6, disk_gib_capacity=1000)
        await world.db.write(register.report_inventory, ReportInventory(HostName("h1"), epoch, "node-1", inventory))
        yield world


async def image_of(world: World) -> str:
    body = {"name": "raw", "disk_format": "raw", "container_format": "bare"}
    image_id: str = (await world.http.post("/image/v2/images", json=body)).json()["id"]
    headers = {"Content-Type": "application/octet-stream"}
    await world.http.put(f"/image/v2/images/{image_id}/file", content=bytes(1 << 20), headers=headers)
    return image_id


def record(world: World, vm_state: VmState, image_id: str) -> Instance:
    """An instance in that state, with what else is true of such a one."""
    image = replace(make.image_ref(), id=ImageId(image_id))
    more: dict[str, Any] = {"host": HostName("h1"), "node": "node-1"}
    match vm_state:
        case VmState.RESIZED:
            more |= {"old_flavor": make.flavor(), "old_vm_state": VmState.ACTIVE}
        case VmState.RESCUED:
            more |= {"rescue_image": image, "old_vm_state": VmState.ACTIVE}
        case VmState.SHELVED:
            more |= {"shelved_image": image}
        case VmState.SHELVED_OFFLOADED:
            more = {"shelved_image": image}
        case _:
            pass
    return make.instance(InstanceId(world.clock.new_id()), vm_state=vm_state, task_state=None, **more)


def put(connection: sa.Connection, instance: Instance, busy: Verb | None) -> None:
    """With an open action of that verb, if one is given."""
    write_instances.insert(connection, instance)
    ids, when = ("u1", "p1"), (make.NOW, make.NOW)
    if instance.vm_state is VmState.RESIZED:
        flavors = (FlavorId("1"), FlavorId("1"))
        uuid = ActionId(f"resize of {instance.id[:8]}")
        status = MigrationStatus.FINISHED
        migration = Migration(uuid, instance.id, make.HOST, make.HOST, *flavors, *ids, *when, status=status)
        write_migrations.insert(connection, migration)
    if busy is not None:
        action_id, late = ActionId(f"busy with {instance.id[:8]}"), make.NOW.replace(year=2100)
        action = Action(
            action_id,
            instance.id,
            busy,
            f"req-{instance.id}",
            *ids,
            *when,
            late,
            one_leg(instance.host, busy),
            params=params.recorded(busy),
        )
        write_actions.insert(connection, action, action.project_id)


Trace = tuple[Instance, list[Action], list[ComputeNode]]


def trace(connection: sa.Connection, instance_id: InstanceId) -> Trace:
    """Everything that a refusal must leave as it is (the watchdog counts an action's time meanwhile)."""
    instance = read_instances.get_known(connection, instance_id)[0]
    actions = [
        replace(one, counted_at=None, deadline=make.NOW) for one in read_actions.of_instance(connection, instance_id)
    ]
    return instance, actions, read_hosts.list_nodes(connection)


async def ask(world: World, instance: Instance, action: str, image_id: str, token: str | None = None) -> int:
    body = BODIES.get(action)
    if isinstance(body, dict):
        body = {name: image_id if value == IMAGE else value for name, value in body.items()}
    headers = {} if token is None else {"X-Auth-Token": token}
    path = f"/compute/v2.1/servers/{instance.id}/action"
    reply = await world.http.post(path, json={action: body}, headers=headers)
    assert reply.status_code != 400, f"{action} wants an example in BODIES: {reply.text}"
    return reply.status_code


async def check(
    world: World, instance: Instance, action: str, image_id: str, *, accepted: bool, token: str | None = None
) -> None:
    before = await world.db.read(trace, instance.id)
    code = await ask(world, instance, action, image_id, token)
    after = await world.db.read(trace, instance.id)
    where, verb = (action, instance.vm_state), VERB_ACTIONS[action]
    if accepted:
        assert code in (200, 202, 204), where
        known = {one.id for one in before[1]}
        (new,) = [one for one in after[1] if one.id not in known]
        at_once = VERBS[verb].immediate or (verb is Verb.DELETE and instance.host is None)
        assert (new.verb, new.state is ActionState.OPEN) == (verb, not at_once), where
    else:
        assert code == 409, where
        assert after == before, where


async def member(world: World) -> str:
    """A token of another user of the same project."""
    await world.db.write(write_identity.insert_user, User("u2", "member", ""))
    await world.db.write(write_identity.assign_role, Assignment("u2", "p1", "member"))
    minter = TokenMinter(OneKey(b"s" * 48), world.clock, 1e6)
    return minter.mint(Subject("u2", "member", "p1", "admin", ("member", "reader")), ("password",))[0]


def ask_for_all(
    state: Path, refused: Callable[[Transition], bool], *, busy: bool = False, by_member: bool = False, **more: Any
) -> None:
    """Every action in every state: the answer is the rule's, unless `refused` says that this is refused in any."""

    async def main() -> None:
        async with recording(state) as world:
            image_id = await image_of(world)
            token = await member(world) if by_member else None
            for action, verb in VERB_ACTIONS.items():
                if by_member and ACTIONS[action][-1].default is DefaultPolicy.ADMIN:
                    continue
                other = Verb.PAUSE if verb is not Verb.PAUSE else Verb.STOP
                for vm_state in STATES:
                    instance = replace(record(world, vm_state, image_id), **more)
                    await world.db.write(put, instance, other if busy else None)
                    accepted = vm_state in VERBS[verb].allowed and not refused(VERBS[verb])
                    await check(world, instance, action, image_id, accepted=accepted, token=token)

    run_virtually(main())


def test_it_is_accepted_in_the_states_of_its_rule_alone(tmp_path: Path) -> None:
    ask_for_all(tmp_path, lambda _rule: False)


def test_while_another_is_open_only_those_that_do_not_wait_are_accepted(tmp_path: Path) -> None:
    ask_for_all(tmp_path, lambda rule: not (rule.preempts or rule.immediate), busy=True)


def test_a_lock_holds_nothing_up_that_an_administrator_asks_for(tmp_path: Path) -> None:
    ask_for_all(tmp_path, lambda _rule: False, locked_by="owner")


def test_a_lock_holds_its_owner_up_as_the_rule_says(tmp_path: Path) -> None:
    ask_for_all(tmp_path, lambda rule: rule.respects_lock, by_member=True, locked_by="owner")
