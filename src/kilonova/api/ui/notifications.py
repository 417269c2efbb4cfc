# SPDX-License-Identifier: Apache-2.0
"""GET /ui/api/notifications: the recent notifications of all projects, and how far their delivery is.

For administrators: notifications name hosts, users and projects.  They contain no secrets (docs/notifications.md).
"""

from pydantic_core import to_json

from kilonova.api.http.call import Call, Reply
from kilonova.api.ui.files import SAFE
from kilonova.db.readers import notifications as readers
from kilonova.db.readers.notifications import Delivery, Wanted
from kilonova.db.transaction import Snapshot
from kilonova.objects.notification import Numbered
from kilonova.rpcapi.notifications import message

RULE = "kilonova:notifications:list"
QUERY = frozenset({"after", "before", "limit", "type", "server"})
USUAL, MOST = 100, 1000
"""How many notifications an answer has without a limit, and at most."""


async def show(call: Call) -> Reply:
    """Show the first notifications after a number, or else the newest, and how far the delivery is."""
    query = call.query
    wanted = Wanted(query.integer("after"), query.integer("before"), query.text("type"), query.text("server"))
    limit = query.integer("limit")
    found, delivery = await call.db.read(_find, wanted, USUAL if limit is None else min(limit, MOST))
    since = delivery.waiting_since
    body = {
        "notifications": [message(one) for one in found],
        "delivery": {
            "numbered": delivery.numbered,
            "published": delivery.published,
            "waiting": delivery.waiting,
            "waiting_since": None if since is None else since.isoformat(),
        },
    }
    return Reply(to_json(body), headers=(*SAFE, ("Cache-Control", "no-store")))


def _find(snapshot: Snapshot, wanted: Wanted, limit: int) -> tuple[list[Numbered], Delivery]:
    return readers.find(snapshot, wanted, limit), readers.delivery(snapshot)
