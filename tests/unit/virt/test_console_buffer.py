# SPDX-License-Identifier: Apache-2.0
"""A guest never waits for who looks at it."""

import asyncio

from kilonova.virt.console import ConsoleBuffer
from tests.make import run


def test_what_was_not_read_in_time_is_lost_and_said() -> None:
    async def main() -> None:
        buffer = ConsoleBuffer(most_bytes=10)
        for _ in range(1000):
            buffer.put(b"0123456789")
        buffer.put(b"end")
        said = await buffer.take()
        assert said.endswith(b"3456789end")
        assert b"9993 bytes were not read in time" in said
        buffer.put(b"more")
        assert await buffer.take() == b"more"

    run(main())


def test_what_is_here_can_be_read_after_the_end_and_the_first_reason_counts() -> None:
    async def main() -> None:
        buffer = ConsoleBuffer()
        waiting = asyncio.ensure_future(buffer.take())
        await asyncio.sleep(0)
        buffer.put(b"last words")
        buffer.end("stopped")
        buffer.end("closed")
        buffer.put(b"too late")
        assert await waiting == b"last words"
        assert await buffer.take() == b""
        assert buffer.ended == "stopped"

    run(main())
