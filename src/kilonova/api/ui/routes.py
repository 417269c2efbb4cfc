# SPDX-License-Identifier: Apache-2.0
"""All routes below /ui.

They are the page's own and change with it, so they are not in the reference of the OpenStack APIs: docs/ui.md describes
them.
"""

from kilonova.api.http.microversion import MIN
from kilonova.api.http.route import DefaultPolicy, Route, Service
from kilonova.api.ui import actions, capacity, doctor, events, notifications, permissions, session, why
from kilonova.api.ui.changes import MEDIA_TYPE
from kilonova.api.ui.doctor import Doctor
from kilonova.api.ui.feed import EventFeed
from kilonova.api.ui.files import Files
from kilonova.api.ui.sampler import RULE, Sampler
from kilonova.ui.assets import Assets

PREFIX = "/ui"


def service(assets: Assets, feed: EventFeed, sampler: Sampler, examined: Doctor) -> Service:
    """The routes, served from these parts."""
    files, streams = Files(assets), events.Events(feed, assets)
    return Service(
        PREFIX,
        (
            Route("GET", "", files.index, "ui", DefaultPolicy.ANYBODY, gives="text/html"),
            Route("GET", "/static/{path*}", files.file, "ui", DefaultPolicy.ANYBODY, also=(304,)),
            *session.ROUTES,
            Route("GET", "/events", streams.stream, events.RULE, DefaultPolicy.READER, query=events.QUERY, strict=MIN,
                gives=MEDIA_TYPE),
            Route("GET", "/api/servers/{server_id}/figures", sampler.show, RULE, DefaultPolicy.READER),
            Route("GET", "/api/servers/{server_id}/why", why.show, why.RULE, DefaultPolicy.READER, query=why.QUERY,
                strict=MIN),
            Route("GET", "/api/actions", actions.list_actions, actions.RULE, DefaultPolicy.READER, query=actions.QUERY,
                strict=MIN),
            Route("GET", "/api/hosts", capacity.show, capacity.RULE, DefaultPolicy.ADMIN),
            Route("GET", "/api/hosts/{host}/doctor", examined.of_host, doctor.HOST_RULE, DefaultPolicy.ADMIN),
            Route("GET", "/api/doctor", examined.own, doctor.RULE, DefaultPolicy.ADMIN),
            Route("GET", "/api/notifications", notifications.show, notifications.RULE, DefaultPolicy.ADMIN,
                query=notifications.QUERY, strict=MIN),
            Route("GET", "/api/roles/{role_id}/permissions", permissions.show, permissions.RULE,
                DefaultPolicy.IDENTITY_ADMIN),
            Route("GET", "/{path*}", files.index, "ui", DefaultPolicy.ANYBODY, gives="text/html"),
        ),
        open=True,
    )  # fmt: skip
