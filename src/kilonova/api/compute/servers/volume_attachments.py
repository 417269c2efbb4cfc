# SPDX-License-Identifier: Apache-2.0
"""GET /servers/{id}/os-volume_attachments: no server here has a volume, as there is no Block Storage.

Source: Compute API reference, "Servers with volume attachments".
"""

from kilonova.api.compute.servers.resource import find
from kilonova.api.http.call import Call, Reply, json_reply
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
