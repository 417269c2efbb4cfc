# SPDX-License-Identifier: Apache-2.0
"""/servers/{id}/tags: words by which a list of servers can be filtered.

Source: Compute API reference, "Server tags" (2.26).
"""

from urllib.parse import quote

from pydantic import Field

from kilonova.api.compute.fields import Tag
from kilonova.api.compute.servers.resource import find
from kilonova.api.http.body import Body, validated_value
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, View
from kilonova.base.errors import NotFound
from kilonova.objects.instance import Instance
from kilonova.rpcapi.api_to_conductor import EDIT_TAGS, EditTags

MOST_TAGS = 50


class Tags(Body):
    tags: list[Tag] = Field(max_length=MOST_TAGS)


class OneTag(Body):
    tag: Tag


TAGS = View[Instance, Call]("", Member("tags", list[str], lambda instance, _: instance.tags))


async def list_tags(call: Call) -> Reply:
    """List the tags of a server."""
    return TAGS.reply(await find(call), call)


async def has_tag(call: Call) -> Reply:
    """Check whether a server has a tag: 204 if it has, 404 if not."""
    if call.params["tag"] not in (await find(call)).tags:
        raise _missing(call)
    return Reply(status=204)


async def replace_tags(call: Call, body: Tags) -> Reply:
    """Replace all tags of a server."""
    instance = await find(call)
    await call.deps.rpc.call(EDIT_TAGS, EditTags(instance.id, MOST_TAGS, put=tuple(body.tags), replace=True))
    return await list_tags(call)


async def add_tag(call: Call) -> Reply:
    """Add a tag to a server: 201, or 204 if the server has it already."""
    instance = await find(call)
    tag = validated_value(OneTag, {"tag": call.params["tag"]}).tag
    if tag in instance.tags:
        return Reply(status=204)
    await call.deps.rpc.call(EDIT_TAGS, EditTags(instance.id, MOST_TAGS, put=(tag,)))
    location = call.links.to(f"/servers/{instance.id}/tags/{quote(tag, safe='')}")
    return Reply(status=201, headers=(("Location", location),))


async def delete_tag(call: Call) -> Reply:
    """Remove a tag from a server."""
    instance = await find(call)
    if call.params["tag"] not in instance.tags:
        raise _missing(call)
    await call.deps.rpc.call(EDIT_TAGS, EditTags(instance.id, MOST_TAGS, remove=(call.params["tag"],)))
    return Reply()


async def delete_tags(call: Call) -> Reply:
    """Remove all tags from a server."""
    instance = await find(call)
    await call.deps.rpc.call(EDIT_TAGS, EditTags(instance.id, MOST_TAGS, replace=True))
    return Reply()


def _missing(call: Call) -> NotFound:
    return NotFound(f"Server {call.params['server_id']} has no tag '{call.params['tag'][:60]}'")


ROUTES = (
    Route("GET", "/servers/{server_id}/tags", list_tags, "os_compute_api:os-server-tags:index", DefaultPolicy.READER,
        reply=TAGS, min=v2(26)),
    Route("PUT", "/servers/{server_id}/tags", replace_tags, "os_compute_api:os-server-tags:update_all",
        DefaultPolicy.MEMBER, reply=TAGS, body=Tags, min=v2(26)),
    Route("DELETE", "/servers/{server_id}/tags", delete_tags, "os_compute_api:os-server-tags:delete_all",
        DefaultPolicy.MEMBER, 204, min=v2(26)),
    Route("GET", "/servers/{server_id}/tags/{tag}", has_tag, "os_compute_api:os-server-tags:show",
        DefaultPolicy.READER, 204, min=v2(26)),
    Route("PUT", "/servers/{server_id}/tags/{tag}", add_tag, "os_compute_api:os-server-tags:update",
        DefaultPolicy.MEMBER, 201, note="201 and Location; 204 if the server has the tag", also=(204,), min=v2(26)),
    Route("DELETE", "/servers/{server_id}/tags/{tag}", delete_tag, "os_compute_api:os-server-tags:delete",
        DefaultPolicy.MEMBER, 204, min=v2(26)),
)  # fmt: skip
