# SPDX-License-Identifier: Apache-2.0
"""The edge to ASGI: addresses, segments, headers, lengths."""

from typing import Any

import pytest

from kilonova.api.http.call import Reply
from kilonova.api.http.wire import Chunks, ClientGone, base_of, headers_of, segments_of, send_reply, start_of
from tests.make import run

SCOPE: dict[str, Any] = {"scheme": "http", "server": ("127.0.0.1", 8774)}


@pytest.mark.parametrize(
    ("headers", "base"),
    [
        ({"host": "box:8774"}, "http://box:8774"),
        ({"host": "[::1]:8774"}, "http://[::1]:8774"),
        ({}, "http://127.0.0.1:8774"),
        ({"host": "evil/<script>"}, "http://127.0.0.1:8774"),
        ({"host": "box", "x-forwarded-proto": "https", "x-forwarded-host": "api.example"}, "https://api.example"),
        ({"host": "box", "x-forwarded-host": "a.example, b.example"}, "http://a.example"),
        ({"host": "box", "x-forwarded-prefix": "/cloud/"}, "http://box/cloud"),
        ({"host": "box", "x-forwarded-prefix": "//evil"}, "http://box"),
        ({"host": "box", "x-forwarded-proto": "javascript"}, "http://box"),
    ],
)
def test_links_carry_the_address_that_the_client_used(headers: dict[str, str], base: str) -> None:
    assert base_of(SCOPE, headers) == base


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        (b"/", [""]),
        (b"/a/b", ["a", "b"]),
        (b"/a/", ["a", ""]),
        (b"/a%2Fb/c%20d", ["a/b", "c d"]),
        (b"/%C3%A4?x=/y", ["ä"]),
        (b"/%FF", ["�"]),
    ],
)
def test_paths_are_split_before_they_are_decoded(raw: bytes, segments: list[str]) -> None:
    assert segments_of({"raw_path": raw, "path": "unused"}) == segments


def test_headers_of_one_name_are_joined() -> None:
    scope = {"headers": [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]}
    assert headers_of(scope) == {"a": "1,3", "b": "2"}


def test_chunks_end_with_the_body_or_with_the_client() -> None:
    async def collected(*messages: dict[str, Any]) -> list[bytes]:
        waiting = list(messages)

        async def receive() -> dict[str, Any]:
            return waiting.pop(0)

        return [chunk async for chunk in Chunks(receive)]

    async def main() -> None:
        more = {"type": "http.request", "body": b"a", "more_body": True}
        assert await collected(more, {"type": "http.request", "body": b"b"}) == [b"a", b"b"]
        assert await collected(more, {"type": "http.request"}) == [b"a"]
        with pytest.raises(ClientGone):
            await collected(more, {"type": "http.disconnect"})

    run(main())


def test_every_answer_says_how_long_it_is() -> None:
    async def sent(status: int, reply: Reply, *, head: bool = False) -> tuple[dict[bytes, bytes], bytes]:
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(message)

        await send_reply(send, start_of(status, reply, []), reply, head=head)
        body = b"".join(message.get("body", b"") for message in messages[1:])
        return dict(messages[0]["headers"]), body

    async def main() -> None:
        assert await sent(204, Reply()) == ({}, b"")
        assert await sent(202, Reply()) == ({b"Content-Length": b"0"}, b"")
        headers, body = await sent(200, Reply(b"{}"))
        assert (headers[b"Content-Length"], headers[b"Content-Type"], body) == (b"2", b"application/json", b"{}")
        headers, body = await sent(200, Reply(b"{}"), head=True)
        assert (headers[b"Content-Length"], body) == (b"2", b"")

    run(main())
