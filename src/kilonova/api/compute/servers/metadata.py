# SPDX-License-Identifier: Apache-2.0
"""/servers/{id}/metadata: keys and values that the owner of a server stores with it.

Source: Compute API reference, "Server metadata".  POST merges, PUT replaces all, PUT on a key sets that key.
"""

from collections.abc import Mapping

from kilonova.api.compute.fields import AllMetadata, OneMetadata
from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, View
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.objects.instance import Instance
from kilonova.rpcapi.api_to_conductor import EDIT_METADATA, EditMetadata

METADATA = View[Instance, Call]("", Member("metadata", dict[str, str], lambda instance, _: instance.metadata))
ONE_PAIR = View[Mapping[str, str], Call]("", Member("meta", dict[str, str], lambda pair, _: pair))


async def list_metadata(call: Call) -> Reply:
    """List the metadata of a server."""
    return METADATA.reply(await find(call), call)


async def show_metadata(call: Call) -> Reply:
    """Show the value of one metadata key."""
    metadata, key = (await find(call)).metadata, call.params["key"]
    if key not in metadata:
        raise _missing()
    return ONE_PAIR.reply({key: metadata[key]}, call)


async def merge_metadata(call: Call, body: AllMetadata) -> Reply:
    """Set some metadata keys; the other keys stay."""
    return await _edited(call, await find(call), body, replace=False)


async def replace_metadata(call: Call, body: AllMetadata) -> Reply:
    """Replace all metadata of a server."""
    return await _edited(call, await find(call), body, replace=True)


async def _edited(call: Call, instance: Instance, body: AllMetadata, *, replace: bool) -> Reply:
    edit = EditMetadata(call.context, instance.id, put=body.metadata, replace=replace)
    await call.deps.rpc.call(EDIT_METADATA, edit)
    return await list_metadata(call)


async def set_metadata(call: Call, body: OneMetadata) -> Reply:
    """Set one metadata key; the body names the same key as the path."""
    instance = await find(call)
    if list(body.meta) != [call.params["key"]]:
        raise InvalidInput("Request body and URI mismatch", path="meta")
    await call.deps.rpc.call(EDIT_METADATA, EditMetadata(call.context, instance.id, put=body.meta))
    return ONE_PAIR.reply(body.meta, call)


async def delete_metadata(call: Call) -> Reply:
    """Delete one metadata key."""
    instance, key = await find(call), call.params["key"]
    if key not in instance.metadata:
        raise _missing()
    await call.deps.rpc.call(EDIT_METADATA, EditMetadata(call.context, instance.id, remove=(key,)))
    return Reply()


def _missing() -> NotFound:
    return NotFound("Metadata item was not found")


ROUTES = (
    Route("GET", "/servers/{server_id}/metadata", list_metadata, "os_compute_api:server-metadata:index",
        DefaultPolicy.READER, reply=METADATA),
    Route("POST", "/servers/{server_id}/metadata", merge_metadata, "os_compute_api:server-metadata:create",
        DefaultPolicy.MEMBER, reply=METADATA, body=AllMetadata),
    Route("PUT", "/servers/{server_id}/metadata", replace_metadata, "os_compute_api:server-metadata:update_all",
        DefaultPolicy.MEMBER, reply=METADATA, body=AllMetadata),
    Route("GET", "/servers/{server_id}/metadata/{key}", show_metadata, "os_compute_api:server-metadata:show",
        DefaultPolicy.READER, reply=ONE_PAIR),
    Route("PUT", "/servers/{server_id}/metadata/{key}", set_metadata, "os_compute_api:server-metadata:update",
        DefaultPolicy.MEMBER, reply=ONE_PAIR, body=OneMetadata),
    Route("DELETE", "/servers/{server_id}/metadata/{key}", delete_metadata, "os_compute_api:server-metadata:delete",
        DefaultPolicy.MEMBER, 204),
)  # fmt: skip
