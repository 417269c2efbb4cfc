# SPDX-License-Identifier: Apache-2.0
"""uvicorn's websocket connection in its slot.  Imported when the first one opens, because the import is slow."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from kilonova.api.http.connections import ConnectionSlot
from kilonova.api.http.http_protocol import CLOSING_S


class WebsocketConnection(WebSocketsSansIOProtocol):
    """Has no time limit; pings detect a client that is gone."""

    slot: ConnectionSlot | None = None
    _closing = 0.0

    def is_idle(self) -> bool:
        """Never idle: it serves a console."""
        return False

    def drop(self) -> None:
        """End it at once."""
        self.transport.abort()

    def tick(self, seconds: float) -> None:
        """Called when so many seconds have passed."""
        if self.transport.is_closing():
            self._closing += seconds
            if self._closing > CLOSING_S:
                self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.slot is not None:
            self.slot.release()
