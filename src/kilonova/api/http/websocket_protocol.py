# SPDX-License-Identifier: Apache-2.0
"""uvicorn's websocket connection on its seat.  Importing it is a good part of a start: done when one is opened."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from kilonova.api.http.connections import Seat
from kilonova.api.http.http_protocol import CLOSING_S


class WebsocketConnection(WebSocketsSansIOProtocol):
    """Lives as long as both ends want; pings find a client that is gone."""

    seat: Seat | None = None
    _closing = 0.0

    def is_idle(self) -> bool:
        """Somebody looks at a console."""
        return False

    def drop(self) -> None:
        """End it at once."""
        self.transport.abort()

    def tick(self, seconds: float) -> None:
        """So much time has gone by."""
        if self.transport.is_closing():
            self._closing += seconds
            if self._closing > CLOSING_S:
                self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.seat is not None:
            self.seat.release()
