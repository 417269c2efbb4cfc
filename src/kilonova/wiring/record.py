# SPDX-License-Identifier: Apache-2.0
"""A recorded conductor, and its replay: both run the same enclosed code."""

import asyncio
import platform
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kilonova import CODE_VERSION, __version__
from kilonova.base.errors import StateError
from kilonova.base.failpoints import Failpoints
from kilonova.base.fleet_clock import FleetClock
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.base.threads import Workers
from kilonova.config.quota import QuotaSettings
from kilonova.config.record import RecordSettings

if TYPE_CHECKING:
    from kilonova.conductor.tools import Policy
    from kilonova.record.log import Entry
    from kilonova.record.player import Outcome, Watch
    from kilonova.record.recorder import Recorder
    from kilonova.record.rooms import Body, Rooms

NOT_RECORDED = "plans"
"""The field of the policy that is code."""


def conductor_body(policy: "Policy", quotas: QuotaSettings, failpoints: Failpoints, metrics: Metrics) -> "Body":
    """A conductor as enclosed code: it receives its clock, its bus and its database."""
    from kilonova.conductor.service import Conductor
    from kilonova.conductor.tools import Tools
    from kilonova.db.database_time import FOLLOW_S, follow
    from kilonova.rpcapi.caller import Caller

    async def body(rooms: "Rooms", started: Callable[[], None], stopping: asyncio.Future[None]) -> None:
        clock = FleetClock(rooms.clock)
        following = partial(follow, rooms.db, clock, rooms.clock)
        await following()
        async with Supervisor(clock, metrics.round_ended) as tasks:
            tasks.periodic("clock", FOLLOW_S, following, limit_s=FOLLOW_S)
            tools = Tools(rooms.db, clock, quotas, failpoints)
            await Conductor(tools, Caller(rooms.bus, clock), policy, metrics).start(rooms.bus, tasks)
            started()
            await stopping
        await asyncio.Event().wait()  # what is in progress is served until the bus is left

    return body


@asynccontextmanager
async def recorder_of(
    rooms: "Rooms", settings: RecordSettings, policy: "Policy", quotas: QuotaSettings, workers: Workers
) -> AsyncGenerator["Recorder | None"]:
    """The recorder of a conductor, with its file; None if nothing is recorded.  Raises StateError."""
    if settings.file is None:
        yield None
        return
    from kilonova.record.log import RecordFile
    from kilonova.record.recorder import Recorder

    file = await workers.run(RecordFile, settings.file, settings.max_mib << 20, workers)
    recorder = Recorder(rooms, file, _head(policy, quotas))
    async with Supervisor(rooms.clock) as tasks:
        tasks.spawn("record", file.keep(rooms.clock))
        try:
            yield recorder
        finally:
            await recorder.close()
    await file.close()


def _head(policy: "Policy", quotas: QuotaSettings) -> dict[str, Any]:
    kept = {field.name: getattr(policy, field.name) for field in fields(policy) if field.name != NOT_RECORDED}
    return {
        "role": "conductor",
        "version": __version__,
        "code": CODE_VERSION,
        "python": platform.python_version(),
        "policy": kept,
        "quotas": dict(quotas.defaults),
    }


def read_record(path: Path) -> tuple[Mapping[str, Any], Iterator["Entry"]]:
    """The head and the other entries of a record.  Raises StateError."""
    from kilonova.record.log import Kind, entries_of

    entries = entries_of(path)
    first = next(entries, None)
    if first is None:
        raise StateError(f"The record {path} has no whole entry.")
    if first[0] != Kind.HEAD or not isinstance(first[1], dict) or first[1].get("role") != "conductor":
        raise StateError(f"{path} does not begin as the record of a conductor.")
    return first[1], entries


def replay(head: Mapping[str, Any], entries: Iterator["Entry"], watch: "Watch", until: int | None) -> "Outcome":
    """Run the conductor of the head on the entries.  Raises StateError."""
    from kilonova.conductor.tools import Policy
    from kilonova.record.player import Player

    try:
        policy = Policy(**head["policy"])
        quotas = QuotaSettings(head["quotas"])
    except (KeyError, TypeError) as exc:
        raise StateError(f"The record has settings that this version does not have: {exc}.") from exc
    body = conductor_body(policy, quotas, Failpoints(), Metrics())
    return Player(entries, watch, until=until).play(body)
