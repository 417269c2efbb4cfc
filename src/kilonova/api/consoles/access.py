# SPDX-License-Identifier: Apache-2.0
"""Who may open a console: the token in its URL, the host that keeps it, and the right of the user who received it.

A token is random, for one server and one kind of console, valid once and for a limited time.  The server's host keeps
its hash, and gives the ticket of the session for it (docs/adr/0032).
"""

import hashlib
import re
from dataclasses import dataclass

import structlog
from pydantic import TypeAdapter, ValidationError

from kilonova.api.http.bearer import context_of
from kilonova.api.http.deps import ApiDeps
from kilonova.base.errors import (
    Forbidden,
    HypervisorUnavailable,
    KilonovaError,
    NotFound,
    NotInThisVersion,
    NotSupported,
    RpcTimeout,
    RpcUnavailable,
    Unauthorized,
)
from kilonova.db.readers import instances
from kilonova.identity.tokens import Claims
from kilonova.objects.console import ConsoleKind, ConsoleStream
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.rpcapi.to_host import GRANT_CONSOLE, REDEEM_CONSOLE, GrantConsole, RedeemConsole

log = structlog.get_logger(__name__)

TOKEN_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
RULE = "os_compute_api:os-remote-consoles"
_CLAIMS = TypeAdapter(Claims)
_INVALID = "The console token is not valid: it was used, has expired, or does not exist."
_AWAY = "The console cannot be opened: the host of this server does not answer. Try again later."


@dataclass(frozen=True, slots=True)
class ConsoleRequest:
    """A console that the user of `claims` wants to open."""

    instance: Instance
    kind: ConsoleKind
    view_only: bool
    claims: Claims


@dataclass(frozen=True, slots=True)
class ConsoleSession:
    """An open session, and whose it is."""

    stream: ConsoleStream
    instance_id: InstanceId
    kind: ConsoleKind
    view_only: bool
    claims: Claims


async def new_token(deps: ApiDeps, wanted: ConsoleRequest) -> str:
    """The token of one session.  Raises InvalidState, HypervisorError, NotSupported, HypervisorUnavailable."""
    assert wanted.instance.host is not None
    token = deps.clock.new_secret(TOKEN_BYTES)
    bearer = _CLAIMS.dump_json(wanted.claims).decode()
    grant = GrantConsole(_hash(token), wanted.instance.id, wanted.kind, wanted.view_only, bearer, deps.console_ttl_s)
    try:
        await deps.rpc.call(GRANT_CONSOLE, grant, wanted.instance.host)
    except NotInThisVersion as exc:
        log.warning("a host is too old for consoles", host=wanted.instance.host, error=exc.message)
        raise NotSupported("The host of this server has no interactive consoles yet: it must be upgraded.") from exc
    except (RpcTimeout, RpcUnavailable) as exc:
        raise _away(wanted.instance, exc) from exc
    return token


async def open_session(deps: ApiDeps, instance_id: InstanceId, kind: ConsoleKind, token: str) -> ConsoleSession:
    """Use a token up, and open its session.  Raises Unauthorized, with one message for every invalid token, Forbidden,
    NotFound, InvalidState, HypervisorError, HypervisorUnavailable."""
    try:
        instance = await deps.db.read(instances.get, instance_id, None)
    except NotFound:
        raise Unauthorized(_INVALID) from None
    if instance.host is None or not _TOKEN.fullmatch(token):
        raise Unauthorized(_INVALID)
    try:
        granted = await deps.rpc.call(REDEEM_CONSOLE, RedeemConsole(_hash(token)), instance.host)
    except (RpcTimeout, RpcUnavailable) as exc:
        raise _away(instance, exc) from exc
    ticket = granted.ticket
    if (ticket.host, ticket.instance_id, ticket.kind) != (instance.host, instance.id, kind):
        raise Unauthorized(_INVALID)
    claims = _claims(granted.bearer)
    if claims.expires_at <= deps.clock.now():
        raise Unauthorized(_INVALID)
    await permitted(deps, claims, instance.id)
    try:
        stream = await deps.consoles.open(ticket)
    except HypervisorUnavailable as exc:
        raise _away(instance, exc) from exc
    log.info("a console was opened", instance=instance.id, kind=kind, user=claims.subject.user_id)
    return ConsoleSession(stream, instance.id, kind, granted.view_only, claims)


async def permitted(deps: ApiDeps, claims: Claims, instance_id: InstanceId) -> None:
    """Whether the user may use this server's console now.  Raises Unauthorized, Forbidden, NotFound."""
    context = await context_of(deps, claims, "")
    deps.policy.permit(RULE, context, {})
    await deps.db.read(instances.get, instance_id, None if context.is_admin else context.project_id)


async def right_ended(deps: ApiDeps, session: ConsoleSession) -> str:
    """Return, with the reason, when that right has ended.  While the database is not available, the session
    continues."""
    while True:
        await deps.token_revalidation.changed()
        try:
            await permitted(deps, session.claims, session.instance_id)
        except (Unauthorized, Forbidden, NotFound):
            return "The right to use this console has ended."
        except KilonovaError as exc:
            log.debug("it is not known whether a console may still be used", error=exc.message)


def _claims(bearer: str) -> Claims:
    try:
        return _CLAIMS.validate_json(bearer)
    except ValidationError:  # of an API process of another release
        raise Unauthorized(_INVALID) from None


def _away(instance: Instance, exc: KilonovaError) -> HypervisorUnavailable:
    """For users, who do not see the names of hosts; the log has the reason."""
    log.warning("a console cannot be opened", instance=instance.id, host=instance.host, error=exc.message)
    return HypervisorUnavailable(_AWAY)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
