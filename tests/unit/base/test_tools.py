# SPDX-License-Identifier: Apache-2.0
"""Tools that hang, are missing, fail, or are no longer waited for."""

import asyncio

import pytest

from kilonova.base.errors import HypervisorError
from kilonova.base.tools import run_limited, run_module
from tests.make import run


def test_a_tool_that_hangs_or_is_missing_is_ended_with_a_sentence() -> None:
    async def test() -> None:
        with pytest.raises(HypervisorError, match="did not end within"):
            await run_limited(["sleep", "3600"], limit_s=0.1)
        with pytest.raises(HypervisorError, match="cannot be run"):
            await run_limited(["there-is-no-such-tool"], limit_s=5)
        with pytest.raises(HypervisorError, match="status 1"):
            await run_limited(["false"], limit_s=5)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(run_limited(["sleep", "3600"], limit_s=3600))
            await asyncio.sleep(0.1)
            task.cancel()
        assert task.cancelled()
        assert await run_limited(["echo", "$HOME;"], limit_s=5) == b"$HOME;\n"

    run(test())


def test_a_module_reads_its_input_and_is_ended_when_it_takes_too_long() -> None:
    async def test() -> None:
        assert await run_module("json.tool", b"[1]", limit_s=60) == b"[\n    1\n]\n"
        with pytest.raises(HypervisorError, match=r"json\.tool failed: Expecting value"):
            await run_module("json.tool", b"?", limit_s=60)
        with pytest.raises(HypervisorError, match=r"json\.tool did not end within 0 s"):
            await run_module("json.tool", b"[1]", limit_s=0)

    run(test())
