# SPDX-License-Identifier: Apache-2.0
"""The database compared with what exists: POST /kilonova/verify.

The route is not one of Nova's.  One request compares one part, so that a part that does not answer delays no other one.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, View
from kilonova.api.image.verify import VerifyImages, verify
from kilonova.base.errors import InvalidInput, KilonovaError
from kilonova.objects.difference import KINDS, Difference, Part
from kilonova.objects.ids import HostName
from kilonova.rpcapi.verify import VERIFY_DATABASE, VERIFY_HOST, Verified, VerifyDatabase, VerifyHost


class VerifyPart(Body):
    """`host` only with the part "host".  `pause_seconds`: an orphan is removed when an earlier look has found it so
    long ago.  `checksums`: images are read and compared; `begin` begins that on a host, and a request whose reply is
    `running` is repeated without it."""

    part: Literal["database", "host", "images"]
    host: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    repair: bool = False
    pause_seconds: Annotated[float, Field(ge=0, le=86400)] = 30.0
    checksums: bool = False
    begin: bool = False


class VerifyBody(Body):
    """The part to compare."""

    verify: VerifyPart


class DifferenceShown(TypedDict):
    """One difference.  `repair`: what a repair does with it, or null; `by_hand`: what an operator can do, or null.
    `outcome`: what a repair did, or null."""

    code: str
    subject: str
    host: str | None
    found: str
    repair: str | None
    by_hand: str | None
    outcome: str | None


class VerificationShown(TypedDict):
    """One part.  `count` is the number of differences, of which at most 1000 are shown.  `unseen`: why the part could
    not be compared, or null.  `running`: checksums are being calculated, and nothing was compared yet."""

    part: str
    host: str | None
    differences: Sequence[DifferenceShown]
    count: int
    unseen: str | None
    running: bool


VERIFICATION = View[VerificationShown, Call]("", Member("verification", VerificationShown, lambda shown, _: shown))


async def compare(call: Call, body: VerifyBody) -> Reply:
    """Compare one part with the database, and repair it on request."""
    wanted = body.verify
    if (wanted.part == Part.HOST) != (wanted.host is not None):
        raise InvalidInput("A host is given with the part 'host', and only with it.", path="verify.host")
    return VERIFICATION.reply(_shown(wanted, await _verified(call, wanted)), call)


async def _verified(call: Call, wanted: VerifyPart) -> Verified:
    rpc = call.deps.rpc
    if wanted.part == Part.DATABASE:
        return await rpc.call(VERIFY_DATABASE, VerifyDatabase(wanted.repair))
    if wanted.host is not None:
        host = HostName(wanted.host)
        request = VerifyHost(host, wanted.repair, wanted.pause_seconds, wanted.checksums, wanted.begin)
        return await rpc.call(VERIFY_HOST, request)
    images = VerifyImages(wanted.repair, wanted.pause_seconds, wanted.checksums)
    try:
        return await verify(images, call.deps.images, call.db, call.deps.clock)
    except (KilonovaError, OSError) as exc:
        return Verified(unseen=f"The image store could not be compared: {exc}")


def _shown(wanted: VerifyPart, found: Verified) -> VerificationShown:
    return {
        "part": wanted.part,
        "host": wanted.host,
        "differences": [_difference(one) for one in found.differences],
        "count": found.count,
        "unseen": found.unseen or None,
        "running": found.running,
    }


def _difference(one: Difference) -> DifferenceShown:
    kind = KINDS.get(one.code)
    return {
        "code": one.code,
        "subject": one.subject,
        "host": one.host or None,
        "found": one.found,
        "repair": one.repair or None,
        "by_hand": None if one.repair or kind is None else kind.by_hand or None,
        "outcome": one.outcome or None,
    }


ROUTES = (
    Route("POST", "/kilonova/verify", compare, "kilonova:verify", DefaultPolicy.ADMIN, 200, reply=VERIFICATION,
        body=VerifyBody),
)  # fmt: skip
