# SPDX-License-Identifier: Apache-2.0
"""The statistics of figures."""

import math
import statistics
from collections.abc import Sequence


def median(samples: Sequence[float]) -> float:
    """The middle of the samples, in their unit.  Raises ValueError when there are none."""
    if not samples:
        raise ValueError("no samples")
    return statistics.median(samples)


def rounded(value: float, digits: int = 4) -> float:
    """`value` to so many significant digits: more would be noise."""
    if value == 0 or not math.isfinite(value):
        return value
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return round(value, max(0, places))


def ratio(ours: Sequence[float], bare: Sequence[float]) -> float:
    """The ratio of the medians of two series that were measured in turns."""
    return median(ours) / median(bare)
