# SPDX-License-Identifier: Apache-2.0
"""Rows to objects and back.  The only place that knows both."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import sqlalchemy as sa
from pydantic import TypeAdapter

from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.aggregate import Aggregate
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import HostName
from kilonova.objects.image import Image, ImageRef
from kilonova.objects.instance import Address, Fault, InjectedFile, Instance
from kilonova.objects.keypair import Keypair
from kilonova.objects.leg import Legs, current_index
from kilonova.objects.server_group import GroupPolicy, ServerGroup
from kilonova.objects.service import ComputeNode, Inventory, Service
from kilonova.objects.states import ActionState, PowerState, TaskState, Verb, VmState

_FAULT: TypeAdapter[Fault] = TypeAdapter(Fault)
_IMAGE: TypeAdapter[Image] = TypeAdapter(Image)
_INVENTORY: TypeAdapter[Inventory] = TypeAdapter(Inventory)
_LEGS: TypeAdapter[Legs] = TypeAdapter(Legs)

Row = sa.RowMapping
T = TypeVar("T")


def _address_from(body: dict[str, Any]) -> Address:
    body["dns"] = tuple(body["dns"])
    return Address(**body)


def _or_none(make: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else make(value)


def _flavor(body: dict[str, Any]) -> Flavor:
    return Flavor(**body)


def _image_ref(body: dict[str, Any]) -> ImageRef:
    return ImageRef(**body)


def instance_from(row: Row) -> Instance:
    fault = row["fault"]
    return Instance(
        id=row["id"],
        project_id=row["project_id"],
        user_id=row["user_id"],
        name=row["name"],
        hostname=row["hostname"],
        flavor=_flavor(row["flavor"]),
        image=_image_ref(row["image"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        vm_state=VmState(row["vm_state"]),
        task_state=None if row["task_state"] is None else TaskState(row["task_state"]),
        power_state=PowerState(row["power_state"]),
        desired_power=PowerState(row["desired_power"]),
        host=row["host"],
        node=row["node"],
        availability_zone=row["availability_zone"],
        requested_zone=row["requested_zone"],
        wants_network=row["wants_network"],
        addresses=tuple(_address_from(a) for a in row["addresses"]),
        config_drive=row["config_drive"],
        key_name=row["key_name"],
        key_data=row["key_data"],
        user_data=row["user_data"],
        files=tuple(InjectedFile(**file) for file in row["files"] or ()),
        metadata=row["metadata"],
        tags=tuple(row["tags"]),
        description=row["description"],
        reservation_id=row["reservation_id"],
        launch_index=row["launch_index"],
        launched_at=row["launched_at"],
        terminated_at=row["terminated_at"],
        locked_by=row["locked_by"],
        locked_reason=row["locked_reason"],
        fault=None if fault is None else _FAULT.validate_python(fault),
        disk_config=row["disk_config"],
        access_ip_v4=row["access_ip_v4"],
        access_ip_v6=row["access_ip_v6"],
        server_group_id=row["server_group_id"],
        old_flavor=_or_none(_flavor, row["old_flavor"]),
        new_flavor=_or_none(_flavor, row["new_flavor"]),
        old_vm_state=_or_none(VmState, row["old_vm_state"]),
        rescue_image=_or_none(_image_ref, row["rescue_image"]),
        shelved_image=_or_none(_image_ref, row["shelved_image"]),
        device_tags=row["device_tags"],
    )


def instance_to(instance: Instance) -> dict[str, Any]:
    return instance_values({name: getattr(instance, name) for name in Instance.__dataclass_fields__})


def instance_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Some of an instance's fields as columns."""
    return {name: _INSTANCE_VALUES.get(name, _as_it_is)(value) for name, value in values.items()}


def _as_it_is(value: Any) -> Any:
    return value


def _body(value: Any) -> dict[str, Any] | None:
    return None if value is None else asdict(value)


def _fault(fault: Fault | None) -> dict[str, Any] | None:
    return None if fault is None else _FAULT.dump_python(fault, mode="json")


def _bodies(values: Iterable[Any]) -> list[dict[str, Any]]:
    return [asdict(value) for value in values]


def _bodies_or_none(values: Iterable[Any]) -> list[dict[str, Any]] | None:
    return _bodies(values) or None


_INSTANCE_VALUES: Mapping[str, Callable[[Any], Any]] = {
    "flavor": _body,
    "old_flavor": _body,
    "new_flavor": _body,
    "image": _body,
    "rescue_image": _body,
    "shelved_image": _body,
    "addresses": _bodies,
    "files": _bodies_or_none,
    "metadata": dict,
    "device_tags": dict,
    "tags": list,
    "fault": _fault,
}


def action_from(row: Row) -> Action:
    values = {name: row[name] for name in Action.__dataclass_fields__}
    values["verb"] = Verb(values["verb"])
    values["state"] = ActionState(values["state"])
    values["legs"] = _LEGS.validate_python(values["legs"])
    return Action(**values)


def action_to(action: Action) -> dict[str, Any]:
    values = {name: getattr(action, name) for name in Action.__dataclass_fields__}
    return {**values, "params": dict(action.params), **leg_columns(action.legs)}


def leg_columns(legs: Legs) -> dict[str, Any]:
    """The legs, and beside them the current one's host, which is there for the index only."""
    return {
        "legs": _LEGS.dump_python(legs, mode="json", exclude_defaults=True),
        "host": legs[current_index(legs)].host,
    }


def event_from(row: Row) -> ActionEvent:
    return ActionEvent(
        name=row["name"],
        start_time=row["start_time"],
        finish_time=row["finish_time"],
        result=row["result"],
        host=row["host"],
        details=row["details"],
        leg=row["leg"],
    )


def flavor_from(row: Row) -> Flavor:
    return Flavor(**row["body"])


def flavor_to(flavor: Flavor) -> dict[str, Any]:
    return {"id": flavor.id, "name": flavor.name, "is_public": flavor.is_public, "body": asdict(flavor)}


def image_from(row: Row) -> Image:
    return _IMAGE.validate_python(row["body"])


def image_to(image: Image) -> dict[str, Any]:
    keys = ("id", "name", "status", "owner", "visibility", "created_at")
    return {**{key: getattr(image, key) for key in keys}, "body": _IMAGE.dump_python(image, mode="json")}


def keypair_from(row: Row) -> Keypair:
    return Keypair(**row)


def server_group_from(row: Row) -> ServerGroup:
    values = dict(row)
    values["policy"] = GroupPolicy(values["policy"])
    return ServerGroup(**values)


def server_group_to(group: ServerGroup) -> dict[str, Any]:
    return asdict(group)


def service_from(row: Row) -> Service:
    return Service(**{name: row[name] for name in Service.__dataclass_fields__})


def inventory_from(body: Any) -> Inventory:
    return _INVENTORY.validate_python(body)


def inventory_to(inventory: Inventory) -> dict[str, Any]:
    return _INVENTORY.dump_python(inventory, mode="json")


def node_from(node: Row, service: Service, traits: Mapping[str, frozenset[str]]) -> ComputeNode:
    return ComputeNode(
        id=node["node_id"],
        service=service,
        inventory=inventory_from(node["inventory"]),
        vcpus_used=node["vcpus_used"],
        memory_mib_used=node["memory_mib_used"],
        disk_gib_used=node["disk_gib_used"],
        running_vms=node["instances"],
        traits=traits,
    )


def aggregate_from(row: Row, hosts: Iterable[HostName]) -> Aggregate:
    return Aggregate(**row, hosts=tuple(sorted(hosts)))
