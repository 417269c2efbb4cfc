# SPDX-License-Identifier: Apache-2.0
"""Host aggregates.  An aggregate can define an availability zone.

Source: Compute API reference, "Host aggregates".
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from kilonova.api.compute.fields import IdText, Name
from kilonova.api.compute.image_fitness import bootable, get_image
from kilonova.api.http.actions import ActionRoute, ActionRoutes, dispatch
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.times import micros
from kilonova.api.http.views import Member, View, many, one
from kilonova.base.errors import Conflict, InvalidInput, NotFound
from kilonova.base.unset import unset_if_none
from kilonova.db.readers import aggregates, hosts
from kilonova.db.readers import image_stores as read_stores
from kilonova.db.readers.hosts import COMPUTE
from kilonova.images.signing import grant
from kilonova.objects.aggregate import ZONE, Aggregate
from kilonova.objects.ids import HostName, ImageId
from kilonova.objects.image import ImageRef
from kilonova.objects.signing_key import SigningKey
from kilonova.rpcapi import api_to_conductor_admin as methods
from kilonova.rpcapi import to_host


def _can_be_zone(name: str) -> bool:
    """Without ':', which separates zone and host in a request for a server."""
    return name != "" and name.isprintable() and name == name.strip() and ":" not in name


def _zone(name: str) -> str:
    if not _can_be_zone(name):
        raise PydanticCustomError("zone", "it is not a valid name of an availability zone")
    return name


_Zone = Annotated[str, StringConstraints(max_length=255), AfterValidator(_zone)]
_Key = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9\-_:. ]{1,255}$")]
_Value = Annotated[str, StringConstraints(max_length=255)]


class NewAggregate(Body):
    name: Name
    availability_zone: _Zone | None = None


class CreateAggregate(Body):
    aggregate: NewAggregate


class Changes(Body):
    name: Name | None = None
    availability_zone: _Zone | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not self.model_fields_set or (self.name is None and "name" in self.model_fields_set):
            raise PydanticCustomError("changes", "name or availability_zone is needed")
        return self


class UpdateAggregate(Body):
    aggregate: Changes


class Host(Body):
    host: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Metadata(Body):
    metadata: Annotated[dict[_Key, _Value | None], Field(min_length=1)]


class AddHost(Body):
    add_host: Host


class RemoveHost(Body):
    remove_host: Host


class SetMetadata(Body):
    set_metadata: Metadata


class WantedImage(Body):
    id: IdText


class CacheImages(Body):
    cache: Annotated[list[WantedImage], Field(min_length=1, max_length=1000)]


def _metadata(aggregate: Aggregate) -> dict[str, str]:
    zone = aggregate.availability_zone
    return {**aggregate.metadata, **({} if zone is None else {ZONE: zone})}


M = Member[Aggregate, Call]
_AGGREGATE = View(
    "Aggregate",
    M("id", int, lambda aggregate, _: aggregate.id),
    M("name", str, lambda aggregate, _: aggregate.name),
    M("availability_zone", str | None, lambda aggregate, _: aggregate.availability_zone),
    M("hosts", list[str], lambda aggregate, _: list(aggregate.hosts)),
    M("metadata", dict[str, str], lambda aggregate, _: _metadata(aggregate)),
    M("created_at", str, lambda aggregate, _: micros(aggregate.created_at)),
    M("updated_at", str | None, lambda aggregate, _: micros(aggregate.updated_at)),
    M("deleted", bool, lambda _, __: False),
    M("deleted_at", None, lambda _, __: None),
    M("uuid", str, lambda aggregate, _: aggregate.uuid, since=v2(41)),
)
_ALL, _ONE = many("aggregates", _AGGREGATE), one("aggregate", _AGGREGATE)
_CREATED = one("aggregate", _AGGREGATE.but("CreatedAggregate", without=("hosts", "metadata")))


async def find(call: Call) -> Aggregate:
    """The aggregate of the path.  Raises NotFound, also for a name: clients try names."""
    text = call.params["aggregate_id"]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise NotFound(f"Aggregate {text[:255]} could not be found.")
    return await call.db.read(aggregates.get_aggregate, int(text))


async def list_all(call: Call) -> Reply:
    """List aggregates."""
    found = await call.db.read(aggregates.list_aggregates)
    return _ALL.reply(found, call)


async def show(call: Call) -> Reply:
    """Show an aggregate."""
    return _ONE.reply(await find(call), call)


async def create(call: Call, body: CreateAggregate) -> Reply:
    """Create an aggregate."""
    fields, uuid = body.aggregate, call.deps.clock.new_id()
    await call.deps.rpc.call(
        methods.CREATE_AGGREGATE, methods.CreateAggregate(uuid, fields.name, fields.availability_zone)
    )
    made = await call.db.read(aggregates.by_uuid, uuid)
    if made is None:
        raise Conflict(f"Aggregate {fields.name} was deleted meanwhile.")
    return _CREATED.reply(made, call)


async def update(call: Call, body: UpdateAggregate) -> Reply:
    """Update the name or the availability zone of an aggregate."""
    fields, zone = body.aggregate, body.aggregate.availability_zone
    aggregate = await find(call)
    put = {} if zone is None else {ZONE: zone}
    remove = (ZONE,) if zone is None and "availability_zone" in fields.model_fields_set else ()
    await call.deps.rpc.call(
        methods.UPDATE_AGGREGATE, methods.UpdateAggregate(aggregate.id, unset_if_none(fields.name), put, remove)
    )
    return await show(call)


async def delete(call: Call) -> Reply:
    """Delete an aggregate without hosts."""
    await call.deps.rpc.call(methods.DELETE_AGGREGATE, methods.DeleteAggregate((await find(call)).id))
    return Reply()


# The conductor accepts a repeated request; a client's second request is a conflict.
async def _add_host(call: Call, body: AddHost) -> Reply:
    aggregate, host = await find(call), HostName(body.add_host.host)
    if host in aggregate.hosts:
        raise Conflict(f"Aggregate {aggregate.id} already has host {host}.")
    await call.deps.rpc.call(methods.SET_AGGREGATE_HOST, methods.AggregateHost(aggregate.id, host, member=True))
    return await show(call)


async def _remove_host(call: Call, body: RemoveHost) -> Reply:
    aggregate, host = await find(call), HostName(body.remove_host.host)
    if host not in aggregate.hosts:
        raise NotFound(f"Aggregate {aggregate.id} has no host {host}.")
    await call.deps.rpc.call(methods.SET_AGGREGATE_HOST, methods.AggregateHost(aggregate.id, host, member=False))
    return await show(call)


async def _set_metadata(call: Call, body: SetMetadata) -> Reply:
    """A null value removes its key."""
    aggregate, metadata = await find(call), body.set_metadata.metadata
    put = {key: text for key, text in metadata.items() if text is not None}
    if ZONE in put and not _can_be_zone(put[ZONE]):
        raise InvalidInput(f"'{put[ZONE]}' is not a valid name of an availability zone.", path="set_metadata.metadata")
    remove = tuple(key for key, text in metadata.items() if text is None)
    await call.deps.rpc.call(methods.UPDATE_AGGREGATE, methods.UpdateAggregate(aggregate.id, put=put, remove=remove))
    return await show(call)


P = "os_compute_api:os-aggregates:"
ACTIONS: ActionRoutes = {
    "add_host": (ActionRoute(AddHost, _add_host, P + "add_host", DefaultPolicy.ADMIN, 200, _ONE),),
    "remove_host": (ActionRoute(RemoveHost, _remove_host, P + "remove_host", DefaultPolicy.ADMIN, 200, _ONE),),
    "set_metadata": (ActionRoute(SetMetadata, _set_metadata, P + "set_metadata", DefaultPolicy.ADMIN, 200, _ONE),),
}


async def act(call: Call, data: bytes) -> Reply:
    """Add or remove a host, or set metadata of an aggregate."""
    return await dispatch(ACTIONS, call, data)


async def cache_images(call: Call, body: CacheImages) -> Reply:
    """Cache images on the hosts of an aggregate (from 2.81).  Hosts fetch them in the background."""
    aggregate = await find(call)
    images = [bootable(await call.db.read(get_image, one.id, call.context, "cache"), "cache") for one in body.cache]
    keys = await call.db.read(read_stores.keys)
    for service in await call.db.read(hosts.list_services, binary=COMPUTE):
        if service.host in aggregate.hosts and service.up and not service.forced_down:
            grants = _grants(keys, images, service.host, call.deps.clock.now())
            await call.deps.rpc.cast(to_host.CACHE_IMAGES, to_host.CacheImages(tuple(images), grants), service.host)
    return Reply()


def _grants(
    keys: Sequence[SigningKey], images: Iterable[ImageRef], host: HostName, now: datetime
) -> dict[ImageId, str]:
    """The host's permissions to fetch the images; none where there are no image stores, in the one box."""
    return {image.id: grant(image.id, host, now, keys[0]) for image in images} if keys else {}


ROUTES = (
    Route("GET", "/os-aggregates", list_all, "os_compute_api:os-aggregates:index", DefaultPolicy.ADMIN,
        reply=_ALL),
    Route("POST", "/os-aggregates", create, "os_compute_api:os-aggregates:create", DefaultPolicy.ADMIN,
        reply=_CREATED, body=CreateAggregate),
    Route("GET", "/os-aggregates/{aggregate_id}", show, "os_compute_api:os-aggregates:show", DefaultPolicy.ADMIN,
        reply=_ONE),
    Route("PUT", "/os-aggregates/{aggregate_id}", update, "os_compute_api:os-aggregates:update", DefaultPolicy.ADMIN,
        reply=_ONE, body=UpdateAggregate),
    Route("DELETE", "/os-aggregates/{aggregate_id}", delete, "os_compute_api:os-aggregates:delete",
        DefaultPolicy.ADMIN),
    Route("POST", "/os-aggregates/{aggregate_id}/action", act, "os_compute_api:os-aggregates:action",
        DefaultPolicy.TOKEN, whole=True, actions=ACTIONS),
    Route("POST", "/os-aggregates/{aggregate_id}/images", cache_images, "compute:aggregates:images",
        DefaultPolicy.ADMIN, 202, body=CacheImages, min=v2(81)),
)  # fmt: skip
