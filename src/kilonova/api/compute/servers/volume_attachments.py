# SPDX-License-Identifier: Apache-2.0
"""GET /servers/{id}/os-volume_attachments: no server here has a volume, because there is no Block Storage.

Source: Compute API reference, "Servers with volume attachments".
"""

from kilonova.api.compute.servers.resource import find
from kilonova.api.compute.strict import STRICT
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import EmptyList, Member, View
from kilonova.base.errors import NotFound
from kilonova.objects.instance import Instance

ARGUMENTS = frozenset({"limit", "offset"})


ATTACHMENTS = View[Instance, Call]("", Member("volumeAttachments", EmptyList, lambda _server, _: []))


async def list_attachments(call: Call) -> Reply:
    """List the volumes of a server: none."""
    instance = await find(call)
    for name in ARGUMENTS:
        call.query.integer(name)
    return ATTACHMENTS.reply(instance, call)


async def show_attachment(call: Call) -> Reply:
    """Show one volume of a server: always 404."""
    instance = await find(call)
    raise NotFound(f"Instance {instance.id} is not attached to volume {call.params['volume_id'][:255]}")


ROUTES = (
    Route("GET", "/servers/{server_id}/os-volume_attachments", list_attachments,
        "os_compute_api:os-volumes-attachments:index", DefaultPolicy.READER, reply=ATTACHMENTS,
        query=ARGUMENTS, strict=STRICT),
    Route("GET", "/servers/{server_id}/os-volume_attachments/{volume_id}", show_attachment,
        "os_compute_api:os-volumes-attachments:show", DefaultPolicy.READER, note="404: no server has a volume"),
)  # fmt: skip
