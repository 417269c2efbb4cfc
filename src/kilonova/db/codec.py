# SPDX-License-Identifier: Apache-2.0
"""The declared mapping between rows and objects.

A codec belongs to one class and one table.  It compares the two when it is declared, so that a field without a column,
or a column without a field, fails at import and not at the first write.

Loading checks types: text becomes an enum, lists become tuples.  JSON of a newer version may have unknown fields; they
are ignored, and a missing field has the default of its class.
"""

from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from functools import cached_property
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from kilonova.base.errors import DatabaseUnreadable
from kilonova.db import schema
from kilonova.objects.action import Action, ActionEvent
from kilonova.objects.flavor import Flavor
from kilonova.objects.identity import (
    ApplicationCredential,
    Assignment,
    CatalogEntry,
    Group,
    Project,
    Role,
    User,
)
from kilonova.objects.image import Image, ImageMember
from kilonova.objects.image_store import ImageCopy, StoreAddress
from kilonova.objects.instance import Instance
from kilonova.objects.keypair import Keypair
from kilonova.objects.migration import Migration
from kilonova.objects.placement import PlacementRecord
from kilonova.objects.server_group import ServerGroup
from kilonova.objects.service import Inventory, Service

T = TypeVar("T")


class _Loader(Generic[T]):
    """Builds objects of one class from the values of a row; its errors name the table and the row."""

    def __init__(self, kind: type[T], table: sa.Table) -> None:
        self._kind, self._table = kind, table
        self._fields: Mapping[str, Field[Any]] = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]

    @cached_property
    def _adapter(self) -> TypeAdapter[T]:
        return TypeAdapter(self._kind)  # (at the first row: it takes a millisecond, and most starts need few of them)

    def load(self, row: Mapping[Any, Any]) -> T:
        """The object of a row.  Raises DatabaseUnreadable when a value is not valid for its field."""
        return self._build(dict(row), row)

    def load_all(self, found: sa.CursorResult[Any]) -> list[T]:
        """The objects of all rows of a query's result.  Raises DatabaseUnreadable."""
        names = tuple(found.keys())  # (a dict made this way costs a third of one made from a RowMapping)
        return [self.load(dict(zip(names, row, strict=True))) for row in found]

    def load_first(self, found: sa.CursorResult[Any]) -> T | None:
        """The object of the first row, if there is one.  Raises DatabaseUnreadable."""
        row = found.mappings().first()
        return None if row is None else self.load(row)

    def _build(self, values: Any, row: Mapping[Any, Any]) -> T:
        try:
            return self._adapter.validate_python(values)
        except ValidationError as exc:
            raise DatabaseUnreadable(f"{self._name_of(row)} cannot be read: {_explain(exc)}.") from exc

    def _name_of(self, row: Mapping[Any, Any]) -> str:
        keys = (f"{key.name}={row[key.name]}" for key in self._table.primary_key if key.name in row)
        return f"The row {', '.join(keys)} of the table {self._table.name}"


def _explain(exc: ValidationError) -> str:
    """The invalid fields and the reasons, without their values: these may be secrets."""
    errors = exc.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in errors)


class Codec(_Loader[T]):
    """Each field is a column of the same name; a JSON column holds its field as JSON.

    `hidden`: columns that the object does not show.  `empty_as_null`: JSON columns in which NULL stands for the field's
    default.
    """

    def __init__(
        self, kind: type[T], table: sa.Table, *, hidden: Iterable[str] = (), empty_as_null: Iterable[str] = ()
    ) -> None:
        super().__init__(kind, table)
        self._empty_as_null = frozenset(empty_as_null)
        difference = set(self._fields) ^ (set(table.c.keys()) - set(hidden))
        if difference:
            raise TypeError(f"{kind.__name__} and the table {table.name} differ in: {', '.join(sorted(difference))}")
        self._json = frozenset(column.name for column in table.c if isinstance(column.type, sa.JSON))

    def load(self, row: Mapping[Any, Any]) -> T:
        values = dict(row)
        for name in self._empty_as_null:
            if values[name] is None:
                del values[name]
        return self._build(values, row)

    def dump(self, value: T) -> dict[str, Any]:
        """The object as the values of its columns."""
        return self.values({name: getattr(value, name) for name in self._fields})

    def values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Some of the fields as the values of their columns."""
        return {name: self._as_json(name, value) if name in self._json else value for name, value in values.items()}

    def _as_json(self, name: str, value: Any) -> Any:
        if not value and name in self._empty_as_null:
            return None
        return to_jsonable_python(value, fallback=dict)


class BodyCodec(_Loader[T]):
    """The whole object is JSON in the column `body`; `copies` of some fields are columns too, for queries.

    `optional`: fields that the body has only when they are not empty, as earlier versions stored none of them.
    """

    def __init__(
        self, kind: type[T], table: sa.Table, *, body: str = "body", copies: Iterable[str], optional: Iterable[str] = ()
    ) -> None:
        super().__init__(kind, table)
        self._body, self._copies, self._optional = body, tuple(copies), tuple(optional)
        missing = {body, *copies} - set(table.c.keys()) | set(copies) - set(self._fields)
        if missing:
            raise TypeError(f"{kind.__name__} and the table {table.name} have not both: {', '.join(sorted(missing))}")

    def load(self, row: Mapping[Any, Any]) -> T:
        return self._build(row[self._body], row)

    def dump(self, value: T) -> dict[str, Any]:
        """The object as the values of its columns."""
        columns = {name: getattr(value, name) for name in self._copies}
        body: dict[str, Any] = to_jsonable_python(value, fallback=dict)
        for name in self._optional:
            if not body[name]:
                del body[name]
        return {**columns, self._body: body}


_PROCESS = ("process_id", "boot_id", "state_id", "started_s", "registered_at", "left_at")

INSTANCES = Codec(
    Instance, schema.instances, hidden=("deleted_at", "purged_at", "read_by", "read_number"), empty_as_null=("files",)
)
ACTIONS = Codec(Action, schema.actions, hidden=("host", "instance_project"))
EVENTS = Codec(ActionEvent, schema.action_events, hidden=("action_id", "attempt"))
MIGRATIONS = Codec(Migration, schema.migrations, hidden=("id",))
SERVICES = Codec(Service, schema.services, hidden=_PROCESS)
SERVER_GROUPS = Codec(ServerGroup, schema.server_groups)
KEYPAIRS = Codec(Keypair, schema.keypairs)
MEMBERS = Codec(ImageMember, schema.image_members)
STORES = Codec(StoreAddress, schema.image_stores)
COPIES = Codec(ImageCopy, schema.image_copies)
USERS = Codec(User, schema.users)
PROJECTS = Codec(Project, schema.projects)
GROUPS = Codec(Group, schema.groups)
ROLES = Codec(Role, schema.roles)
ASSIGNMENTS = Codec(Assignment, schema.assignments)
CREDENTIALS = Codec(ApplicationCredential, schema.application_credentials)
ENTRIES = Codec(CatalogEntry, schema.catalog_entries)
FLAVORS = BodyCodec(Flavor, schema.flavors, copies=("id", "name", "is_public"))
IMAGES = BodyCodec(
    Image,
    schema.images,
    copies=("id", "name", "status", "owner", "visibility", "created_at"),
    optional=("uploader",),
)
INVENTORIES = BodyCodec(
    Inventory,
    schema.compute_nodes,
    body="inventory",
    copies=("vcpus_capacity", "memory_mib_capacity", "disk_gib_capacity"),
)
PLACEMENTS = BodyCodec(PlacementRecord, schema.placements, body="record", copies=())
