# SPDX-License-Identifier: Apache-2.0
"""GET /ui/events: what changes, as server-sent events, for as long as the client and its token last."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from kilonova.api.http.bearer import context_of
from kilonova.api.http.call import Call, Reply
from kilonova.api.ui.changes import KEEP_ALIVE, MEDIA_TYPE
from kilonova.api.ui.feed import EventFeed, Stream, Viewer
from kilonova.api.ui.files import FRESH
from kilonova.base.context import RequestContext
from kilonova.base.errors import Forbidden, InvalidInput, KilonovaError, Unauthorized
from kilonova.ui.assets import Assets

RULE = "os_compute_api:servers:detail"
EVERY_PROJECT = "os_compute_api:servers:detail:get_all_tenants"
IMAGES = "get_images"
"""An event shows nothing that these lists of servers and images do not show."""
VERSION = "X-Kilonova-UI-Version"
"""The header with the version of the page that this service serves: an open page may be older."""

KEEP_ALIVE_S = 15.0
CHECK_S = 15.0
"""A stream whose right was changed through another process ends after this time; a change through this one, at once."""
QUERY = frozenset({"all_projects"})

Send = Callable[[bytes], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Events:
    """The handler."""

    feed: EventFeed
    assets: Assets

    async def stream(self, call: Call) -> Reply:
        """Stream the events of the token's project, or of all projects."""
        viewer = _viewer(call, call.context)
        last = _last_event_id(call)
        await self.feed.prepare(viewer.user_id, last)
        live = partial(self._live, call, viewer, last)
        headers = (*FRESH, ("X-Accel-Buffering", "no"), (VERSION, (await self.assets.page()).version))
        return Reply(headers=headers, content_type=MEDIA_TYPE, live=live)

    async def _live(self, call: Call, viewer: Viewer, last: int | None, send: Send) -> None:
        with self.feed.stream(viewer, last) as stream:
            async with asyncio.TaskGroup() as group:
                ends = [group.create_task(end) for end in (_carry(stream, send), call.gone(), _lapse(call, viewer))]
                _, pending = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                for task in pending:
                    task.cancel()


def _viewer(call: Call, context: RequestContext) -> Viewer:
    """Raises Forbidden."""
    call.deps.policy.permit(RULE, context, {})
    every = call.query.boolean("all_projects") or False
    if every:
        call.deps.policy.permit(EVERY_PROJECT, context, {})
    images = call.deps.policy.allows(IMAGES, context, {})
    return Viewer(context.user_id, None if every else context.project_id, context.is_admin, images)


def _last_event_id(call: Call) -> int | None:
    text = call.headers.get("last-event-id", "")
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInput("The header Last-Event-ID is the number of an event.", path="Last-Event-ID")
    return int(text)


async def _carry(stream: Stream, send: Send) -> None:
    """Send events, and a comment in a time without any, until the stream is cut."""
    while True:
        try:
            async with asyncio.timeout(KEEP_ALIVE_S):
                piece = await stream.next()
        except TimeoutError:
            piece = KEEP_ALIVE
        if piece:
            await send(piece)
        if stream.cut:
            return


async def _lapse(call: Call, viewer: Viewer) -> None:
    """Return when the token has ended, or permits less or more than at the beginning.  While the database is not
    available, the stream continues."""
    deps, text = call.deps, call.headers["x-auth-token"]
    while True:
        try:
            claims = deps.tokens.verify(text)
            context = await context_of(deps, claims, call.context.request_id)
            if _viewer(call, context) != viewer:
                return
        except (Unauthorized, Forbidden):
            return
        except KilonovaError:
            left_s = CHECK_S
        else:
            left_s = (claims.expires_at - deps.clock.now()).total_seconds()
        await deps.token_revalidation.changed(max(0.1, min(CHECK_S, left_s)))
