# SPDX-License-Identifier: Apache-2.0
"""GET /servers/{id}/os-volume_attachments: no server here has a volume, as there is no Block Storage.

Source: Compute API reference, "Servers with volume attachments".
"""

from kilonova.api.compute.servers.resource import find
from kilonova.api.compute.strict import STRICT
from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.base.errors import NotFound

ARGUMENTS = frozenset({"limit", "offset"})


async def list_attachments(call: Call) -> Reply:
    """An empty list."""
    await find(call)
    for name in ARGUMENTS:
        call.query.integer(name)
    return json_reply({"volumeAttachments": []})


async def show_attachment(call: Call) -> Reply:
    """404."""
    instance = await find(call)
    raise NotFound(f"Instance {instance.id} is not attached to volume {call.params['volume_id'][:255]}")


ROUTES = (
    Route("GET", "/servers/{server_id}/os-volume_attachments", list_attachments,
        "os_compute_api:os-volumes-attachments:index", DefaultPolicy.READER, note="{volumeAttachments: []}",
        query=ARGUMENTS, strict=STRICT),
    Route("GET", "/servers/{server_id}/os-volume_attachments/{volume_id}", show_attachment,
        "os_compute_api:os-volumes-attachments:show", DefaultPolicy.READER, note="404: no server has a volume"),
)  # fmt: skip
