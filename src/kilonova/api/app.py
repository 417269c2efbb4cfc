# SPDX-License-Identifier: Apache-2.0
"""The API as one ASGI application: the HTTP framework with all services, and the console's websocket."""

from collections.abc import Iterable

from kilonova.api.consoles import websocket
from kilonova.api.http.deps import ApiDeps
from kilonova.api.http.dispatch import Application
from kilonova.api.http.route import Service
from kilonova.api.image.image_data import recover
from kilonova.api.routes import SERVICES


def create_app(deps: ApiDeps, services: Iterable[Service] = SERVICES, page: Service | None = None) -> Application:
    """The ASGI application, with the web page if there is one (`kilonova.api.ui.routes.service`).  `recover(deps)`
    comes before its first request."""
    return Application(deps, (*services, *(() if page is None else (page,))), websocket.serve)


__all__ = ["ApiDeps", "create_app", "recover"]
