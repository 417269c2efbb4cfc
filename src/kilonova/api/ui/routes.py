# SPDX-License-Identifier: Apache-2.0
"""All routes below /ui.

They are the page's own and change with it, so they are not in the reference of the OpenStack APIs: docs/ui.md describes
them.
"""

from kilonova.api.http.route import DefaultPolicy, Route, Service
from kilonova.api.ui import session
from kilonova.api.ui.files import Files
from kilonova.ui.assets import Assets

PREFIX = "/ui"


def service(assets: Assets) -> Service:
    """The routes, served from these parts."""
    files = Files(assets)
    return Service(
        PREFIX,
        (
            Route("GET", "", files.index, "ui", DefaultPolicy.ANYBODY, gives="text/html"),
            Route("GET", "/static/{path*}", files.file, "ui", DefaultPolicy.ANYBODY, also=(304,)),
            *session.ROUTES,
            Route("GET", "/{path*}", files.index, "ui", DefaultPolicy.ANYBODY, gives="text/html"),
        ),
        open=True,
    )
