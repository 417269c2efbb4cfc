# SPDX-License-Identifier: Apache-2.0
"""The HTTP client of image stores, for hosts and for API processes.

No message and no log line contains a URL's query: it is a permission.
"""

import logging
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING

from kilonova.base.errors import ConfigError, Forbidden, ImageUnacceptable, ImageUnavailable, NotFound, StorageFull

if TYPE_CHECKING:
    import httpx

CONNECT_S = 5.0
SILENCE_S = 30.0
"""A transfer without a byte for so long has failed."""
SAVING_S = 600.0
"""How long a store may take to save and copy an image after its last byte."""
_PIECE = 1 << 20


class StoreClient:
    """One per process; `close` ends its connections.  `ca_file` has the certificates that sign those of the stores;
    empty: the system's."""

    def __init__(self, ca_file: str = "") -> None:
        self._ca_file = ca_file
        self._http: httpx.AsyncClient | None = None

    async def read(self, url: str, start: int) -> AsyncGenerator[bytes]:
        """The image's bytes from offset `start` on.  Raises NotFound (the store has no such file), Forbidden, and
        ImageUnavailable when the connection fails or is silent."""
        import httpx

        headers = {"Range": f"bytes={start}-"} if start else {}
        try:
            async with self._client().stream("GET", url, headers=headers) as reply:
                await _check(reply)
                if start and reply.status_code != 206:
                    raise ImageUnavailable(f"The image store {_place(url)} does not continue a download.")
                async for piece in reply.aiter_bytes(_PIECE):
                    yield piece
        except httpx.HTTPError as exc:
            raise _unavailable(url, exc) from exc

    async def write(self, url: str, chunks: AsyncIterator[bytes]) -> bytes:
        """Send an image; the store's answer.  Raises as `read` does, StorageFull, and ImageUnacceptable (these are not
        the bytes that the store expects)."""
        import httpx

        headers = {"Content-Type": "application/octet-stream"}
        patience = httpx.Timeout(SILENCE_S, connect=CONNECT_S, read=SAVING_S)
        try:
            async with self._client().stream("PUT", url, content=chunks, headers=headers, timeout=patience) as reply:
                await _check(reply)
                return await reply.aread()
        except httpx.HTTPError as exc:
            raise _unavailable(url, exc) from exc

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    def _client(self) -> "httpx.AsyncClient":
        """Imported at the first transfer: the one box never needs it."""
        if self._http is None:
            import httpx

            for name in ("httpx", "httpcore"):  # below WARNING they log whole URLs
                logging.getLogger(name).setLevel(logging.WARNING)
            timeout = httpx.Timeout(SILENCE_S, connect=CONNECT_S)
            self._http = httpx.AsyncClient(verify=self._tls(), timeout=timeout, trust_env=False, follow_redirects=False)
        return self._http

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._ca_file or None)
        except OSError as exc:
            raise ConfigError(f"[image] ca_file: {self._ca_file} cannot be used: {exc.strerror or exc}.") from exc


async def _check(reply: "httpx.Response") -> None:
    if reply.is_success:
        return
    await reply.aread()
    place = _place(str(reply.request.url))
    words = f"The image store {place} refuses the transfer with {reply.status_code}: {_message(reply)}"
    match reply.status_code:
        case 403:
            raise Forbidden(words)
        case 404:
            raise NotFound(words)
        case 400 | 409 | 413:
            raise ImageUnacceptable(words)
        case 507:
            raise StorageFull(words)
        case _:
            raise ImageUnavailable(words)


def _message(reply: "httpx.Response") -> str:
    """The sentence of a fault."""
    try:
        (fault,) = reply.json().values()
        return str(fault["message"])[:300]
    except (ValueError, KeyError, TypeError, AttributeError):
        return reply.reason_phrase


def _unavailable(url: str, exc: Exception) -> ImageUnavailable:
    return ImageUnavailable(f"The image store {_place(url)} does not answer: {type(exc).__name__}.")


def _place(url: str) -> str:
    """Scheme and address of a URL."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
