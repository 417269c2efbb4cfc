# SPDX-License-Identifier: Apache-2.0
"""The transactions of the conductor as cases for tests/contract/test_interleaving.py, and the database that they find.

Each case is called with a side, 1 or 2: a case runs beside itself, too.  What both sides change is the same where that
is the interesting case (one server, one address, one unit of a quota).
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any

from kilonova import CODE_VERSION
from kilonova.conductor import (
    aggregates,
    idempotency,
    image_members,
    image_quota,
    images,
    quota,
    server_edits,
    server_groups,
    signing_keys,
)
from kilonova.conductor import identity_edits as identity
from kilonova.conductor.engine import accept, cancel, hand_out, reports
from kilonova.conductor.hosts import adoption, conflicts, forgotten, guests, processes, register
from kilonova.conductor.hosts import reports as service_reports
from kilonova.conductor.placement import place
from kilonova.conductor.verify import database as verify_database
from kilonova.conductor.watch import auto_confirm, deadlines, offload
from kilonova.config.quota import QuotaSettings
from kilonova.db.engine import Database
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.readers.hosts import HostLevel
from kilonova.db.transaction import Transaction
from kilonova.db.writers import flavors, keypairs, liveness, notifications, purge, rounds
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import quotas as write_quotas
from kilonova.db.writers import server_groups as write_groups
from kilonova.db.writers.hosts import Resources
from kilonova.objects.action import ActionEvent
from kilonova.objects.flavor import Flavor
from kilonova.objects.guest import ReadMark
from kilonova.objects.idempotency import Idempotent
from kilonova.objects.identity import Group, Project, User
from kilonova.objects.ids import ActionId, AttemptId, FlavorId, HostName, ImageId, InstanceId, ServerGroupId
from kilonova.objects.image import Image, ImageMember, ImageStatus, MemberStatus
from kilonova.objects.keypair import Keypair
from kilonova.objects.leg import LegId
from kilonova.objects.quota import Usage
from kilonova.objects.server_group import GroupPolicy, ServerGroup
from kilonova.objects.states import PowerState, Verb
from kilonova.rpcapi import api_to_conductor as api
from kilonova.rpcapi import api_to_conductor_admin as admin
from kilonova.rpcapi import api_to_conductor_identity as identity_methods
from kilonova.rpcapi import host_to_conductor as host
from kilonova.rpcapi.cancel import CancelAction
from kilonova.rpcapi.work import Fetch
from tests import make, params

H1, H2 = HostName("h1"), HostName("h2")
NOW = make.NOW
LATER = NOW + timedelta(seconds=10)
LIMITS: Mapping[str, int] = {
    "instances": 5,
    "cores": 20,
    "ram": 51200,
    "metadata_items": 128,
    "key_pairs": 2,
    "server_groups": 2,
    image_quota.COUNT: 2,
    image_quota.SIZE_MIB: 100,
}
QUOTAS = QuotaSettings(LIMITS)


def server(number: int) -> InstanceId:
    return InstanceId(f"11111111-1111-4111-8111-{number:012}")


ACTIVE, RUNNING, WAITING, OTHER = server(1), server(2), server(3), server(4)
"""A server on H1; one whose build runs on H1; two that have no host yet, where there is room for one."""
ATTEMPT = AttemptId("attempt-1")


@dataclass
class Side:
    """One of the two sides of a pair."""

    number: int

    def __post_init__(self) -> None:
        self._made = count()

    def new_id(self) -> str:
        return f"made-{self.number}-{next(self._made)}"

    @property
    def action(self) -> ActionId:
        return ActionId(f"action-of-{self.number}")

    @property
    def context(self) -> Any:
        return make.context(f"req-of-{self.number}")


Case = Callable[[Database, Side], Awaitable[Any]]


async def build_world(db: Database) -> None:
    """What the cases find."""
    for name, room in ((H1, 3), (H2, 0)):
        await db.write(register.register, _registration(name, f"process-{name}"), f"service-{name}", NOW)
        inventory = make.inventory(vcpus_capacity=room)
        await db.write(register.report_inventory, host.ReportInventory(name, 1, f"node-{name}", inventory))
    for number, id_ in enumerate((ACTIVE, RUNNING, WAITING, OTHER), 1):
        await _create(db, make.instance(id_, wants_network=True), f"action-{number}", f"req-{number}")
    for number in (1, 2):
        await db.write(place.place, ActionId(f"action-{number}"), Random(1), NOW)
    await db.write(hand_out.hand_out, Fetch(H1, 1, ATTEMPT, ()), NOW)
    await db.write(reports.finish, _finish(1), Side(0).new_id, NOW)
    await db.write(image_quota.create, _image(0, ImageStatus.ACTIVE), None)
    await db.write(flavors.create_flavor, _flavor("f0"))
    await db.write(write_groups.insert, _group(0))
    await db.write(keypairs.create_keypair, replace(_KEY, name="key-0"))
    await db.write(aggregates.create, admin.CreateAggregate("uuid-0", "aggregate", None), NOW)
    await db.write(identity.create_project, identity_methods.CreateProject(Project("p9", "nine")), NOW)
    await db.write(notifications.number, True)


async def _create(db: Database, instance: Any, action: str, request: str) -> Any:
    asked = api.CreateServers(make.context(request), (instance,))
    return await db.write(idempotency.create, asked, (ActionId(action),), NOW, QUOTAS)


def _registration(name: HostName, process: str) -> host.RegisterHost:
    node = f"node-{name}"
    return host.RegisterHost(name, process, node, "boot", read_hosts.COMPUTE, "compute", CODE_VERSION, "nova")


def _finish(number: int, *, succeeded: bool = True) -> host.Finish:
    step = ActionEvent("define", NOW, NOW, "Success")
    power = PowerState.RUNNING if succeeded else None
    read = ReadMark("process-h1", 9)
    return host.Finish(H1, LegId(ActionId(f"action-{number}"), 0), ATTEMPT, succeeded, power, (step,), read=read)


def _image(number: int, status: ImageStatus = ImageStatus.QUEUED, size: int | None = None) -> Image:
    id_ = ImageId(f"image-{number}")
    return Image(id_, None, status, "p1", "private", "raw", "bare", NOW, NOW, size)


def _flavor(name: str) -> Flavor:
    return replace(make.flavor(), id=FlavorId(name), name=name)


def _member(project: str) -> ImageMember:
    return ImageMember(ImageId("image-0"), project, MemberStatus.PENDING, NOW, NOW)


def _group(number: int) -> ServerGroup:
    return ServerGroup(ServerGroupId(f"group-{number}"), "p1", "u1", "group", GroupPolicy.AFFINITY, NOW)


async def create(db: Database, side: Side) -> Any:
    return await _create(
        db, make.instance(server(10 + side.number), wants_network=True), side.action, f"req-of-{side.number}"
    )


async def create_the_first(db: Database, side: Side) -> Any:
    """Of a project without usage."""
    return await _create(
        db, make.instance(server(10 + side.number), project_id="p9"), side.action, f"req-of-{side.number}"
    )


async def create_with_key(db: Database, side: Side) -> Any:
    key = Idempotent("p1", "u1", "key", "fingerprint", f"answer {side.number}")
    asked = api.CreateServers(side.context, (make.instance(server(10 + side.number)),), idempotent=key)
    return await db.write(idempotency.create, asked, (side.action,), NOW, QUOTAS)


async def create_as_many_as_fit(db: Database, side: Side) -> Any:
    several = tuple(make.instance(server(100 * side.number + number)) for number in range(3))
    asked = api.CreateServers(side.context, several, least=1)
    ids = tuple(ActionId(f"{side.action}-{number}") for number in range(3))
    return await db.write(idempotency.create, asked, ids, NOW, QUOTAS)


async def place_one(db: Database, side: Side) -> Any:
    return await db.write(place.place, ActionId(f"action-{2 + side.number}"), Random(1), NOW)


async def place_the_same(db: Database, _side: Side) -> Any:
    return await db.write(place.place, ActionId("action-3"), Random(1), NOW)


def verb(verb: Verb, instance_id: InstanceId, **fields: Any) -> Case:
    async def case(db: Database, side: Side) -> Any:
        asked = api.AcceptAction(side.context, instance_id, verb, params.requested(verb, **fields))
        return await db.write(accept.accept, asked, side.action, NOW, QUOTAS)

    return case


def cancelling(action: str) -> Case:
    async def case(db: Database, side: Side) -> Any:
        return await db.write(cancel.cancel, CancelAction(side.context, ActionId(action)), NOW)

    return case


def _let_go(tx: Transaction, side: Side) -> Any:
    """A build is cancelled and its host does not answer."""
    cancel.cancel(tx, CancelAction(side.context, ActionId("action-2")), NOW)
    return cancel.cancel(tx, CancelAction(side.context, ActionId("action-2"), let_go=True), NOW)


def _refuse_a_cancel(tx: Transaction, side: Side) -> Any:
    """A build is cancelled and its host refuses that."""
    cancel.cancel(tx, CancelAction(side.context, ActionId("action-2")), NOW)
    hand_out.hand_out(tx, Fetch(H1, 1, AttemptId("undo"), ()), NOW)
    leg = read_actions.get(tx, ActionId("action-2")).leg_id
    report = host.Finish(H1, leg, AttemptId("undo"), False, PowerState.NOSTATE, message="Too late.", refused=True)
    return reports.finish(tx, report, side.new_id, NOW)


async def expire(db: Database, _side: Side) -> Any:
    return await db.write(deadlines.expire, ActionId("action-3"), NOW + timedelta(hours=9))


async def set_quotas(db: Database, side: Side) -> Any:
    return await db.write(quota.set_limits, api.SetQuotas("p1", {"instances": 3 + side.number}))


async def permit_no_server(db: Database, _side: Side) -> Any:
    return await db.write(quota.set_limits, api.SetQuotas("p9", {"instances": 0}))


def one(fn: Callable[..., Any], *made: Callable[[Side], Any]) -> Case:
    """A case that calls `fn` with what is made for its side."""

    async def case(db: Database, side: Side) -> Any:
        return await db.write(fn, *(make_it(side) for make_it in made))

    return case


def same(value: Any) -> Callable[[Side], Any]:
    return lambda _side: value


def new_ids(side: Side) -> Any:
    return side.new_id


def _new_service(side: Side) -> str:
    return f"service-{side.number}"


_LEVEL = HostLevel(H1, 1, True)
_KEY = Keypair("u1", "key", "ssh", "public", "finger", NOW)
_SEEN = host.Observed(ACTIVE, PowerState.SHUTDOWN, "because")


def _seen_by(side: Side) -> host.Observed:
    """The second side's read is the newer one."""
    power = PowerState.PAUSED if side.number == 1 else PowerState.SHUTDOWN
    return host.Observed(ACTIVE, power, "because", 10 + side.number)


def _give_up(tx: Transaction) -> Any:
    """H1 is down, and an operator gives it up."""
    write_hosts.update_service(tx, H1, read_hosts.COMPUTE, NOW, up=False)
    return forgotten.forget(tx, H1, NOW, heard=False)


def _mend(tx: Transaction) -> Any:
    """The claims on H1 and the usage of a project are wrong, and an operator repairs them."""
    write_quotas.move(tx, "p1", Usage(1, 1, 1))
    write_hosts.set_claims(tx, H1, Resources(9, 9, 9), 9)
    return verify_database.mend(tx)


CASES: Mapping[str, Case] = {
    "mend": one(_mend),
    "create": create,
    "create the first": create_the_first,
    "create with a key": create_with_key,
    "create as many as fit": create_as_many_as_fit,
    "place": place_one,
    "place the same": place_the_same,
    "stop": verb(Verb.STOP, ACTIVE),
    "delete": verb(Verb.DELETE, ACTIVE),
    "delete the running": verb(Verb.DELETE, RUNNING),
    "delete the waiting": verb(Verb.DELETE, WAITING),
    "cancel the waiting": cancelling("action-3"),
    "cancel the running": cancelling("action-2"),
    "let go": one(_let_go, lambda side: side),
    "refuse a cancel": one(_refuse_a_cancel, lambda side: side),
    "lock": verb(Verb.LOCK, ACTIVE),
    "snapshot": verb(Verb.CREATE_IMAGE, ACTIVE),
    "fetch": one(hand_out.hand_out, lambda side: Fetch(H1, 1, AttemptId(f"fetch-{side.number}"), ()), same(NOW)),
    "finish": one(reports.finish, same(_finish(2)), new_ids, same(NOW)),
    "fail": one(reports.finish, same(_finish(2, succeeded=False)), new_ids, same(NOW)),
    "events": one(
        reports.record_events,
        lambda side: host.RecordEvents(
            H1, LegId(ActionId("action-2"), 0), ATTEMPT, (ActionEvent("disk", NOW, details=f"{side.number}"),)
        ),
    ),
    "report states": one(
        guests.report_states, same(host.ReportStates(H1, 1, (_SEEN,))), lambda side: (side.action,), same(NOW)
    ),
    "report in order": one(
        guests.report_states,
        lambda side: host.ReportStates(H1, 1, (_seen_by(side),)),
        lambda side: (side.action,),
        same(NOW),
    ),
    "register": one(
        register.register, lambda side: _registration(H1, f"new-{side.number}"), same("service-h1"), same(NOW)
    ),
    "register a new host": one(
        register.register, lambda side: _registration(HostName("h3"), f"new-{side.number}"), _new_service, same(NOW)
    ),
    "inventory": one(
        register.report_inventory,
        lambda side: host.ReportInventory(H1, 1, "node-h1", make.inventory(vcpus_capacity=side.number)),
    ),
    "enable": one(register.set_enabled, lambda side: host.SetHostEnabled(H1, 1, side.number == 1, "why"), same(NOW)),
    "force down": one(
        register.operator_update,
        same(api.UpdateService("service-h1", disabled=True, forced_down=True)),
        same(NOW),
        same("req-down"),
    ),
    "delete the service": one(register.delete_service, same(admin.DeleteService("service-h1")), same(NOW)),
    "give up": one(_give_up),
    "copies removed": one(forgotten.copies_removed, same(host.CopiesRemoved(H1, 1, (ACTIVE,))), same(NOW)),
    "leave": one(processes.leave, same(host.Leave(H1, 1)), same(NOW)),
    "refuse": one(processes.refused, lambda side: _registration(H1, f"other-{side.number}"), same(NOW)),
    "adopt": one(adoption.adopt, same(H1), same(NOW)),
    "contest": one(conflicts.contest, same(host.Contest(H1, 0, "old", "boot", 1)), same(NOW)),
    "suspect": one(liveness.suspect, same(_LEVEL), lambda side: f"conductor-{side.number}", same(NOW)),
    "call down": one(liveness.call_down, same(_LEVEL._replace(suspected_by="conductor-1")), same(LATER)),
    "call up": one(liveness.call_up, same(_LEVEL), same(LATER)),
    "notify": one(guests.notify, same(host.Notify(H1, host.Notice("notice", NOW, "type", "INFO", {})))),
    "expire": expire,
    "count time": one(deadlines.count_time, same(20.0), same(LATER)),
    "move windows": one(
        deadlines.move_windows_once,
        same(NOW),
        same(timedelta(hours=1)),
        same(0),
        lambda side: f"conductor-{side.number}",
    ),
    "claim a round": one(rounds.claim, same("round"), lambda side: f"conductor-{side.number}", same(60.0), same(NOW)),
    "report a service": one(
        service_reports.report,
        lambda side: admin.ReportService(HostName("api1"), "kilonova-api", f"process-{side.number}", 1, 60.0),
        same(NOW),
    ),
    "forget reports": one(service_reports.forget_old, same(NOW)),
    "purge": one(purge.purge_servers, same(LATER), same(LATER)),
    "purge actions": one(purge.purge_actions, same(ACTIVE), same(0)),
    "purge expired": one(purge.purge_expired, same(LATER + timedelta(days=2))),
    "remove rows": one(purge.remove_rows, same(LATER)),
    "number": one(notifications.number, same(False)),
    "publish": one(notifications.record_published, same(1)),
    "metadata": one(
        server_edits.edit_metadata,
        lambda side: api.EditMetadata(side.context, ACTIVE, put={f"key {side.number}": "value"}),
        same(NOW),
        same(QUOTAS),
    ),
    "tags": one(server_edits.edit_tags, lambda side: api.EditTags(ACTIVE, 1, put=(f"tag {side.number}",)), same(NOW)),
    "set quotas": set_quotas,
    "permit no server": permit_no_server,
    "key pair": one(keypairs.create_keypair, lambda side: replace(_KEY, name=f"key-{side.number}")),
    "group": one(server_groups.create, lambda side: _group(side.number), same(QUOTAS)),
    "delete a group": one(write_groups.delete, same(ServerGroupId("group-0"))),
    "flavor": one(flavors.create_flavor, lambda _side: _flavor("f1")),
    "delete a flavor": one(flavors.delete_flavor, same(FlavorId("f0"))),
    "image": one(image_quota.create, lambda side: _image(side.number), same(QUOTAS)),
    "change an image": one(
        images.update,
        lambda side: api.PutImage(
            replace(_image(0, ImageStatus.ACTIVE), name=f"name {side.number}"), _image(0, ImageStatus.ACTIVE)
        ),
        same(QUOTAS),
    ),
    "delete an image": one(images.delete, same(api.DeleteImage(ImageId("image-0"))), same(NOW)),
    "no member": one(image_members.delete, same(api.DeleteImageMember(ImageId("image-0"), "p1")), same(NOW)),
    "user": one(
        identity.create_user,
        lambda side: identity_methods.CreateUser(User(f"user-{side.number}", "same name", "hash")),
        same(NOW),
    ),
    "project": one(
        identity.create_project,
        lambda side: identity_methods.CreateProject(Project(f"project-{side.number}", "same name")),
        same(NOW),
    ),
    "delete a project": one(identity.delete_project, same(identity_methods.DeleteProject("p9")), same(NOW)),
    "group of users": one(
        identity.create_group,
        lambda side: identity_methods.CreateGroup(Group(f"group-{side.number}", "same name")),
        same(NOW),
    ),
    "delete a user": one(identity.delete_user, same(identity_methods.DeleteUser("u1")), same(NOW)),
    "name a server": one(
        server_edits.update, lambda side: api.UpdateServer(side.context, ACTIVE, name=f"name {side.number}"), same(NOW)
    ),
    "delete limits": one(write_quotas.delete_limits, same("p1")),
    "delete a key pair": one(keypairs.delete_keypair, same("u1"), same("key-1")),
    "aggregate": one(
        aggregates.create, lambda side: admin.CreateAggregate(f"uuid-{side.number}", "same name", None), same(NOW)
    ),
    "change an aggregate": one(
        aggregates.update,
        lambda side: admin.UpdateAggregate(1, put={"availability_zone": f"z{side.number}"}),
        same(NOW),
    ),
    "host of an aggregate": one(aggregates.set_host, lambda side: admin.AggregateHost(1, H1, member=side.number == 1)),
    "delete an aggregate": one(aggregates.delete, same(admin.DeleteAggregate(1))),
    "describe a flavor": one(flavors.describe, same(FlavorId("f0")), lambda side: f"words {side.number}"),
    "extra specs": one(
        flavors.edit_extra_specs, same(FlavorId("f0")), lambda side: {f"key{side.number}": "value"}, same(())
    ),
    "put a member": one(
        image_members.put, lambda side: api.PutImageMember(_member(f"project-{side.number}"), new=True, most=1)
    ),
    "first key": one(signing_keys.ensure, same("tokens"), lambda side: f"secret {side.number}", same(NOW)),
    "offload": one(offload.begin, same(()), new_ids, same(NOW)),
    "confirm": one(auto_confirm.confirm_due, same(timedelta(hours=1)), new_ids, same(NOW)),
}

COVERED: Mapping[str, str] = {
    "accept": "stop",
    "adopt": "adopt",
    "aggregates.create": "aggregate",
    "aggregates.delete": "delete an aggregate",
    "aggregates.set_host": "host of an aggregate",
    "aggregates.update": "change an aggregate",
    "auto_confirm.confirm_due": "confirm",
    "cancel": "cancel the running",
    "conflicts.contest": "contest",
    "create_group": "group of users",
    "create_project": "project",
    "create_user": "user",
    "deadlines.count_time": "count time",
    "deadlines.expire": "expire",
    "deadlines.move_windows_once": "move windows",
    "delete_project": "delete a project",
    "delete_user": "delete a user",
    "flavors.describe": "describe a flavor",
    "flavors.edit_extra_specs": "extra specs",
    "forgotten.copies_removed": "copies removed",
    "forgotten.forget": "give up",
    "guests.notify": "notify",
    "guests.report_states": "report states",
    "hand_out.hand_out": "fetch",
    "idempotency.create": "create",
    "image_members.delete": "no member",
    "image_members.put": "put a member",
    "image_quota.create": "image",
    "images.delete": "delete an image",
    "images.update": "change an image",
    "database.mend": "mend",
    "offload.begin": "offload",
    "place.place": "place",
    "processes.leave": "leave",
    "processes.refused": "refuse",
    "quota.set_limits": "set quotas",
    "register.delete_service": "delete the service",
    "register.operator_update": "force down",
    "register.report_inventory": "inventory",
    "register.set_enabled": "enable",
    "reports.finish": "finish",
    "reports.forget_old": "forget reports",
    "reports.record_events": "events",
    "reports.report": "report a service",
    "rounds.claim": "claim a round",
    "self.admit": "register",
    "self._create_keypair": "key pair",
    "server_edits.edit_metadata": "metadata",
    "server_edits.edit_tags": "tags",
    "server_edits.update": "name a server",
    "server_groups.create": "group",
    "signing_keys.ensure": "first key",
    "write.purge_actions": "purge actions",
    "write.purge_expired": "purge expired",
    "write.purge_servers": "purge",
    "write.remove_rows": "remove rows",
    "write_flavors.create_flavor": "flavor",
    "write_flavors.delete_flavor": "delete a flavor",
    "write_groups.delete": "delete a group",
    "write_keypairs.delete_keypair": "delete a key pair",
    "write_liveness.call_down": "call down",
    "write_liveness.call_up": "call up",
    "write_liveness.suspect": "suspect",
    "write_notifications.number": "number",
    "write_notifications.record_published": "publish",
    "write_quotas.delete_limits": "delete limits",
}
"""By the name of each function that is passed to `Database.write`: one of its cases."""

_OF_ONE_LEG = "the attempt of one host fences it; its rows are those of `finish`"
_IDENTITY = "it changes rows of Identity only, like the cases of users, groups and projects"
WITHOUT_A_CASE: Mapping[str, str] = {
    "bootstrap.record_first_admin": "the first start of a service",
    "update_user": _IDENTITY,
    "images.begin": _OF_ONE_LEG,
    "images.complete": _OF_ONE_LEG,
    "images.drop": _OF_ONE_LEG,
    "image_stores.forget": "deletes the rows of one store; a report meanwhile writes them again, as one after it does",
    "image_stores.record_copy": "an upsert of one row",
    "image_stores.report": "upserts of one row each",
    "_set_flavor_access": "inserts and deletes of one row each",
    "signing_keys.rotate": "like the first key",
    "space.give_back": "it is for SQLite",
    **dict.fromkeys(
        (
            "assign_role",
            "catalog_edits.delete_entry",
            "catalog_edits.put_entries",
            "create_credential",
            "create_role",
            "delete_credential",
            "delete_group",
            "delete_role",
            "edit_member",
            "edit_project_tag",
            "remove_role",
            "revoke_token",
            "update_group",
            "update_project",
            "update_role",
        ),
        _IDENTITY,
    ),
}
"""Functions that have no case, with the reason."""
