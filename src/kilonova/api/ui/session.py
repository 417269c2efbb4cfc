# SPDX-License-Identifier: Apache-2.0
"""The page's session (docs/adr/0033): a token in the memory of the page, and in a cookie that only these routes get.

The cookie lets the page have its token back after a reload, and is good for nothing else: every other route reads the
header X-Auth-Token, which no browser adds by itself.
"""

from kilonova.api.http.body import Lenient
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.faults import HttpError
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.identity.auth import create_token
from kilonova.api.identity.models import Auth, AuthRequest, Methods, Scope, TokenMethod
from kilonova.api.identity.token_cache import apply_change
from kilonova.api.identity.tokens import TOKEN_REPLY, contents, valid
from kilonova.api.ui.files import FRESH
from kilonova.base.errors import Forbidden, Unauthorized
from kilonova.rpcapi import api_to_conductor_identity as methods

COOKIE = "kilonova_session"
PATH = "/ui/session"
HEADER = "x-kilonova-ui"
TOKEN_HEADER = "X-Subject-Token"


class Rescope(Lenient):
    """The scope of the next token, as in Identity."""

    scope: Scope | str


async def log_in(call: Call, body: AuthRequest) -> Reply:
    """Authenticate as with POST /identity/v3/auth/tokens, and keep the token in the session's cookie."""
    _check_page(call)
    return _kept(call, await create_token(call, body))


async def resume(call: Call) -> Reply:
    """Show the session's token and its contents: 401 if there is none that is valid."""
    _check_page(call)
    text = _cookie(call)
    if not text:
        raise Unauthorized("There is no session: log in.")
    try:
        claims = await valid(call, text)
    except Unauthorized as exc:
        ended = f"The session has ended: log in. {exc.message}"
        raise HttpError(401, ended, (*FRESH, _set_cookie(call, ""))) from exc
    return TOKEN_REPLY.reply(await contents(call, claims), call, headers=((TOKEN_HEADER, text), *FRESH))


async def rescope(call: Call, body: Rescope) -> Reply:
    """Issue a token of another scope for the token in X-Auth-Token, and keep it.  The earlier token remains valid:
    another tab may use it."""
    _check_page(call)
    text = call.headers.get("x-auth-token")
    if not text:
        raise Unauthorized("The request you have made requires authentication.")
    identity = Methods(methods=["token"], token=TokenMethod(id=text))
    return _kept(call, await create_token(call, AuthRequest(auth=Auth(identity=identity, scope=body.scope))))


async def log_out(call: Call) -> Reply:
    """Revoke the session's token, and the one in X-Auth-Token, and forget the cookie.  When the revocation fails, the
    cookie remains, and the request can be repeated."""
    _check_page(call)
    for text in {_cookie(call), call.headers.get("x-auth-token", "")} - {""}:
        try:
            claims = await valid(call, text)
        except Unauthorized:
            continue
        await apply_change(call, methods.REVOKE_TOKEN, methods.RevokeToken(claims.audit_ids[0], claims.expires_at))
    return Reply(headers=(*FRESH, _set_cookie(call, "")))


def _check_page(call: Call) -> None:
    """Raises Forbidden unless the page of this service sent the request: another site's page may neither use a session
    nor begin one.

    Another site cannot add the header without a preflight request, which is never permitted.  A browser adds
    Sec-Fetch-Site and Origin itself.
    """
    if call.headers.get(HEADER) != "1":
        raise Forbidden("The session belongs to the service's own page: the header X-Kilonova-UI: 1 is missing.")
    site, origin = call.headers.get("sec-fetch-site"), call.headers.get("origin")
    foreign = site != "same-origin" if site is not None else origin not in (None, _origin(call))
    if foreign:
        raise Forbidden("The session belongs to the service's own page, and not to a page of another origin.")


def _origin(call: Call) -> str:
    scheme, _, rest = call.links.base.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}".lower()


def _kept(call: Call, reply: Reply) -> Reply:
    """The reply, with its token in the cookie."""
    text = dict(reply.headers)[TOKEN_HEADER]
    return Reply(reply.body, reply.status, (*reply.headers, *FRESH, _set_cookie(call, text)))


def _cookie(call: Call) -> str:
    """The session's cookie; empty if there is none.  Other cookies of the host name may have any form."""
    for pair in call.headers.get("cookie", "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _set_cookie(call: Call, text: str) -> tuple[str, str]:
    """The cookie without a lifetime: it ends with the browser, its token after [api] token_lifetime.  No text: it ends
    now.  A token consists of characters that a cookie may have."""
    secure = "; Secure" if call.links.base.startswith("https:") else ""
    ends = "" if text else "; Max-Age=0"
    return "Set-Cookie", f"{COOKIE}={text}; Path={PATH}; HttpOnly; SameSite=Strict{secure}{ends}"


_RULE = "identity:authenticate"

ROUTES = (
    Route("POST", "/session", log_in, _RULE, DefaultPolicy.ANYBODY, 201, TOKEN_REPLY, AuthRequest),
    Route("POST", "/session/resume", resume, _RULE, DefaultPolicy.ANYBODY, reply=TOKEN_REPLY),
    Route("POST", "/session/project", rescope, _RULE, DefaultPolicy.ANYBODY, 201, TOKEN_REPLY, Rescope),
    Route("DELETE", "/session", log_out, _RULE, DefaultPolicy.ANYBODY, 204),
)
