# SPDX-License-Identifier: Apache-2.0
"""/servers/{id}/metadata: pairs of text that a server's owner keeps with it.

Source: Compute API reference, "Server metadata".  POST merges, PUT on the whole replaces, PUT on a key sets that key.
"""

from kilonova.api.compute.fields import AllMetadata, OneMetadata
from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.objects.instance import Instance
from kilonova.rpcapi.api_to_conductor import EDIT_METADATA, EditMetadata


async def list_metadata(call: Call) -> Reply:
    """GET .../metadata."""
    return json_reply({"metadata": (await find(call)).metadata})


async def show_metadata(call: Call) -> Reply:
    """GET .../metadata/{key}."""
    metadata, key = (await find(call)).metadata, call.params["key"]
    if key not in metadata:
        raise _missing()
    return json_reply({"meta": {key: metadata[key]}})


async def merge_metadata(call: Call, body: AllMetadata) -> Reply:
    """POST .../metadata: what is named is set, the rest stays."""
    return await _edited(call, await find(call), body, replace=False)


async def replace_metadata(call: Call, body: AllMetadata) -> Reply:
    """PUT .../metadata: what is not named goes."""
    return await _edited(call, await find(call), body, replace=True)


async def _edited(call: Call, instance: Instance, body: AllMetadata, *, replace: bool) -> Reply:
    edit = EditMetadata(call.context, instance.id, put=body.metadata, replace=replace)
    await call.deps.rpc.call(EDIT_METADATA, edit)
    return await list_metadata(call)


async def set_metadata(call: Call, body: OneMetadata) -> Reply:
    """PUT .../metadata/{key}: one pair, whose key is the path's."""
    instance = await find(call)
    if list(body.meta) != [call.params["key"]]:
        raise InvalidInput("Request body and URI mismatch", path="meta")
    await call.deps.rpc.call(EDIT_METADATA, EditMetadata(call.context, instance.id, put=body.meta))
    return json_reply({"meta": body.meta})


async def delete_metadata(call: Call) -> Reply:
    """DELETE .../metadata/{key}."""
    instance, key = await find(call), call.params["key"]
    if key not in instance.metadata:
        raise _missing()
    await call.deps.rpc.call(EDIT_METADATA, EditMetadata(call.context, instance.id, remove=(key,)))
    return Reply()


def _missing() -> NotFound:
    return NotFound("Metadata item was not found")
