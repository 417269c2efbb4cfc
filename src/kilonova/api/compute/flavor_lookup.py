# SPDX-License-Identifier: Apache-2.0
"""Look up the flavor in a request for a server."""

from kilonova.base.context import RequestContext
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import flavors as read_flavors
from kilonova.db.transaction import Snapshot
from kilonova.objects.extra_specs import unkept
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId


def flavor_for_server(snapshot: Snapshot, flavor_id: FlavorId, context: RequestContext, path: str) -> Flavor:
    """The flavor for a new or a resized server; `path` is the field of the request with its id.

    Raises InvalidInput if the caller cannot use the flavor, and if its extra specs request unsupported features.
    """
    try:
        flavor = read_flavors.find_flavor(snapshot, flavor_id, context.project_id, admin=context.is_admin)
    except NotFound as exc:
        raise InvalidInput(exc.message, path=path) from exc
    refused = unkept(flavor.extra_specs)
    if refused:
        raise InvalidInput(f"Flavor {flavor.name} requests unsupported features: {', '.join(refused)}.", path=path)
    return flavor
