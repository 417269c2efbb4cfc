# SPDX-License-Identifier: Apache-2.0
"""The load script as it is, with one addition: each summary of durations also holds its raw samples.

Run as a process of its own (`python -m bench.raw_load ...`), so that the client's CPU time is not the service's.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from bench import compute_api_bench as script

_summary = script.figures


def figures(values: Sequence[float], scale: float = 1000.0) -> dict[str, Any]:
    """The script's summary of durations in seconds, with the samples, scaled to milliseconds, under "raw"."""
    return {**_summary(values, scale), "raw": [round(value * scale, 3) for value in values]}


if __name__ == "__main__":
    script.figures = figures
    asyncio.run(script.main())
