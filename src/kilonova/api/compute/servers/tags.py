# SPDX-License-Identifier: Apache-2.0
"""/servers/{id}/tags: words that a server is found by.  Source: Compute API reference, "Server tags" (2.26)."""

from urllib.parse import quote

from pydantic import Field

from kilonova.api.compute.fields import Tag
from kilonova.api.compute.servers.resource import find
from kilonova.api.http.body import Body, validated_value
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.base.errors import NotFound
from kilonova.rpcapi.api_to_conductor import EDIT_TAGS, EditTags

MOST_TAGS = 50


class Tags(Body):
    tags: list[Tag] = Field(max_length=MOST_TAGS)


class OneTag(Body):
    tag: Tag


async def list_tags(call: Call) -> Reply:
    """GET .../tags."""
    return json_reply({"tags": list((await find(call)).tags)})


async def has_tag(call: Call) -> Reply:
    """GET .../tags/{tag}: 204 or 404."""
    if call.params["tag"] not in (await find(call)).tags:
        raise _missing(call)
    return Reply(status=204)


async def replace_tags(call: Call, body: Tags) -> Reply:
    """PUT .../tags."""
    instance = await find(call)
    await call.deps.rpc.call(EDIT_TAGS, EditTags(instance.id, MOST_TAGS, put=tuple(body.tags), replace=True))
    return await list_tags(call)


async def add_tag(call: Call) -> Reply:
    """PUT .../tags/{tag}: 201 for a new one, 204 for one that is there."""
    instance = await find(call)
    tag = validated_value(OneTag, {"tag": call.params["tag"]}).tag
    if tag in instance.tags:
        return Reply(status=204)
    await call.deps.rpc.call(EDIT_TAGS, EditTags(instance.id, MOST_TAGS, put=(tag,)))
    location = call.links.to(f"/servers/{instance.id}/tags/{quote(tag, safe='')}")
    return Reply(status=201, headers=(("Location", location),))


async def delete_tag(call: Call) -> Reply:
    """DELETE .../tags/{tag}."""
    instance = await find(call)
    if call.params["tag"] not in instance.tags:
        raise _missing(call)
    await call.deps.rpc.call(EDIT_TAGS, EditTags(instance.id, MOST_TAGS, remove=(call.params["tag"],)))
    return Reply()


async def delete_tags(call: Call) -> Reply:
    """DELETE .../tags."""
    instance = await find(call)
    await call.deps.rpc.call(EDIT_TAGS, EditTags(instance.id, MOST_TAGS, replace=True))
    return Reply()


def _missing(call: Call) -> NotFound:
    return NotFound(f"Server {call.params['server_id']} has no tag '{call.params['tag'][:60]}'")
