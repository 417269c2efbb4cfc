# SPDX-License-Identifier: Apache-2.0
"""All groups, in the order in which they are measured."""

from collections.abc import Sequence

from bench import (
    crowd,
    database,
    first_load,
    fleet,
    growth,
    guests,
    idle,
    latency,
    native,
    observing,
    open_pages,
    placement,
    reads,
    recording,
    rpc,
    screen,
    startup,
)
from bench.run import Group

GROUPS: Sequence[Group] = (
    native.GROUP,
    observing.GROUP,
    database.GROUP,
    placement.GROUP,
    rpc.GROUP,
    startup.GROUP,
    startup.COMPUTE,
    latency.GROUP,
    crowd.CROWD,
    crowd.LONG_LIST,
    reads.GROUP,
    guests.GROUP,
    idle.GROUP,
    first_load.GROUP,
    open_pages.GROUP,
    screen.GROUP,
    growth.GROUP,
    fleet.GROUP,
    recording.GROUP,
)
