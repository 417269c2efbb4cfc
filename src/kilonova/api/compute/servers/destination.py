# SPDX-License-Identifier: Apache-2.0
"""A host in the request of a new server: `host` and `hypervisor_hostname` (2.74), or "ZONE:HOST:NODE" as the zone.

The filters decide about the host as about any other: a host that is down or full is refused.
"""

from kilonova.api.compute.servers.models import NewServer
from kilonova.api.http.call import Call
from kilonova.base.errors import InvalidInput

REQUESTED_DESTINATION = "compute:servers:create:requested_destination"
"""The policy of choosing a host (2.74)."""
FORCED_HOST = "os_compute_api:servers:create:forced_host"
"""The policy of choosing a host by the availability zone."""


def permitted(call: Call, request: NewServer) -> NewServer:
    """The request, with the parts of its zone in their own fields.  Raises Forbidden, InvalidInput."""
    if request.host is not None or request.node is not None:
        call.permit(REQUESTED_DESTINATION)
    zone, colon, place = (request.availability_zone or "").partition(":")
    if not colon:
        return request
    call.permit(FORCED_HOST)
    host, _, node = place.partition(":")
    if not (host or node) or ":" in node:
        message = "An availability zone with a host has the form ZONE:HOST or ZONE:HOST:NODE."
        raise InvalidInput(message, path="server.availability_zone")
    if request.host is not None or request.node is not None:
        message = "A host is given twice: by the availability zone, and by host or hypervisor_hostname."
        raise InvalidInput(message, path="server.availability_zone")
    return request.model_copy(update={"availability_zone": zone or None, "host": host or None, "node": node or None})
