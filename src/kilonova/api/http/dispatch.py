# SPDX-License-Identifier: Apache-2.0
"""The ASGI application: one dispatch, without middleware, for every request.

Request id, route, token, microversion, policy, query, body, handler; every exception on the way becomes a fault.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog
from starlette.types import Receive, Scope, Send

from kilonova.api.http.bearer import context_of
from kilonova.api.http.body import NUL_IS_REFUSED, read_limited, refuse_nul, validated
from kilonova.api.http.call import Call, Links, Reply
from kilonova.api.http.deps import ApiDeps
from kilonova.api.http.edge import Edge
from kilonova.api.http.faults import HttpError, answer, fault
from kilonova.api.http.microversion import HEADER, OLD_HEADER, Negotiated, negotiate
from kilonova.api.http.query import Query
from kilonova.api.http.route import DefaultPolicy, Route, Router, Service
from kilonova.api.http.wire import LIVE, Chunks, ClientGone, segments_of, send_reply, start_of
from kilonova.base.clock import new_request_id
from kilonova.base.context import CHANGED, RequestContext, serving
from kilonova.base.errors import (
    DatabaseUnavailable,
    Forbidden,
    InvalidInput,
    KilonovaError,
    NotFound,
    RequestOutcomeUnknown,
    RpcTimeout,
    RpcUnavailable,
    TooLarge,
    Unauthorized,
)
from kilonova.objects.messages import member_message

log = structlog.get_logger(__name__)


Websocket = Callable[[Scope, Receive, Send, ApiDeps, Edge], Awaitable[None]]
"""Serves one websocket, from its handshake to its end."""


@dataclass(slots=True)
class _Request:
    """A request; its route and its context after they are found."""

    id: str
    method: str
    headers: dict[str, str]
    segments: Sequence[str]
    path: str
    query_string: bytes
    links: Links
    negotiated: Negotiated
    chunks: Chunks
    peer: str
    context: RequestContext
    route: Route | None = None


class Application:
    """Serves the routes of the services, and websockets by `websocket`."""

    def __init__(self, deps: ApiDeps, services: Iterable[Service], websocket: Websocket) -> None:
        self.deps = deps
        self._websocket = websocket
        self._edge = Edge(deps.settings)
        self._mounts = {_key(service.prefix): (service, Router(service.routes)) for service in services}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)
        else:
            await self._websocket(scope, receive, send, self.deps, self._edge)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        CHANGED.set([])
        segments = segments_of(scope)
        service, router = self._mount(segments)
        request = self._request(scope, receive, service, segments)
        with serving(request.id):
            await self._respond(request, service, router, scope, send)

    async def _respond(self, request: _Request, service: Service, router: Router, scope: Scope, send: Send) -> None:
        head, began = request.method == "HEAD", self.deps.clock.monotonic()
        try:
            self._edge.check_host(scope, request.headers)
            status, reply = await self._serve(request, service, router)
        except ClientGone:
            return
        except Exception as exc:
            status, reply = _faulty(exc, request, service)
        try:
            start = start_of(status, reply, _headers(request, service))
        except Exception as exc:  # a header that HTTP does not allow: nothing was sent yet
            status, reply = _faulty(exc, request, service)
            start = start_of(status, reply, _headers(request, service))
        self._count(request, service, status, self.deps.clock.monotonic() - began)
        if request.method not in _READS:
            log.info("request", method=request.method, path=_raw_path(scope), status=status)
        scope[LIVE] = reply.live is not None
        await send_reply(send, start, reply, head=head)

    def _count(self, request: _Request, service: Service, status: int, took_s: float) -> None:
        """A method that no route has is not counted by its name, which a client can choose at will."""
        route = request.route
        if route is None:
            self.deps.metrics.http_request("", "", status, took_s)
        else:
            self.deps.metrics.http_request(route.method, f"{service.prefix}{route.path}", status, took_s)

    def _mount(self, segments: Sequence[str]) -> tuple[Service, Router]:
        for length in (2, 1):
            found = self._mounts.get(tuple(segments[:length]))
            if found is not None:
                return found
        return self._mounts[()]

    def _request(self, scope: Scope, receive: Receive, service: Service, segments: list[str]) -> _Request:
        headers = self._edge.headers(scope)
        rest = segments[len(_key(service.prefix)) :]
        if rest == [""]:  # a service's root answers with and without the slash
            rest = []
        negotiated = negotiate(headers.get(HEADER), headers.get(OLD_HEADER)) if service.microversions else _UNVERSIONED
        return _Request(
            id=new_request_id(self.deps.clock),
            method=scope["method"],
            headers=headers,
            segments=rest,
            path="/" + "/".join(rest),
            query_string=scope.get("query_string", b""),
            links=Links(self._edge.base(scope, headers), service.prefix),
            negotiated=negotiated,
            chunks=Chunks(receive),
            peer=(scope.get("client") or ("",))[0],
            context=_NOBODY,
        )

    async def _serve(self, request: _Request, service: Service, router: Router) -> tuple[int, Reply]:
        method = "GET" if request.method == "HEAD" else request.method
        try:
            route, params = router.find(method, request.segments, request.negotiated.version)
        except (NotFound, HttpError):
            if not service.open and not (service.identity and not request.headers.get("x-auth-token")):
                await self._authenticate(request)
                _refuse_bad_version(request)
            raise
        request.route = route
        context = _NOBODY
        if route.default is not DefaultPolicy.ANYBODY:
            context = request.context = await self._authenticate(request)
            _refuse_bad_version(request)
            if not context.project_id and not service.identity:
                raise Forbidden("The token is for no project: log in with a project as its scope.")
            self.deps.policy.permit(route.rule, context, params)
        _refuse_nul(params)
        query = Query(request.query_string)
        _check_query(route, query, request)
        call = Call(
            deps=self.deps,
            context=context,
            version=request.negotiated.version,
            params=params,
            query=query,
            links=request.links,
            path=request.path,
            headers=request.headers,
            chunks=request.chunks,
            gone=request.chunks.gone,
            peer=request.peer,
        )
        if not route.actions:  # each action is checked by its own rule
            self.deps.disk_space.check(context, method, route.rule)
        reply = await self._handle(route, call)
        return reply.status or route.success, reply

    async def _handle(self, route: Route, call: Call) -> Reply:
        if route.body is None and not route.whole:
            return await route.handler(call)
        data = await read_limited(call.chunks, call.headers, self.deps.settings.max_body_bytes)
        refuse_nul(data)
        return await route.handler(call, data if route.body is None else validated(route.body, data, call.version))

    async def _authenticate(self, request: _Request) -> RequestContext:
        text = request.headers.get("x-auth-token")
        if not text:
            raise Unauthorized("The request you have made requires authentication.")
        return await context_of(self.deps, self.deps.tokens.verify(text), request.id)


_UNVERSIONED = negotiate(None, None)
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_NOBODY = RequestContext(request_id="", user_id="", project_id="")


def _raw_path(scope: Scope) -> str:
    """As it was sent, percent-encoded: it is ASCII without line feeds."""
    return str(scope.get("raw_path", b"")[:255], "ascii", "replace")


def _key(prefix: str) -> tuple[str, ...]:
    return tuple(prefix.split("/")[1:])


def _refuse_bad_version(request: _Request) -> None:
    if request.negotiated.problem is not None:
        kind, message = request.negotiated.problem
        raise kind(message)


def _refuse_nul(params: Mapping[str, str]) -> None:
    for name, value in params.items():
        if "\0" in value:
            raise InvalidInput(f"Invalid input for path parameter {name}. {NUL_IS_REFUSED}", path=name)


def _check_query(route: Route, query: Query, request: _Request) -> None:
    if route.strict is None or request.negotiated.version < route.strict:
        return
    for name in query.names():
        if name not in route.query:
            raise InvalidInput(f"Additional properties are not allowed ('{name[:64]}' was unexpected)", path=name[:64])


def _faulty(exc: Exception, request: _Request, service: Service) -> tuple[int, Reply]:
    status, message, headers = answer(_honest(exc), request.id, repeatable=_is_repeatable(request))
    if isinstance(exc, KilonovaError) and not request.context.is_admin:
        message = member_message(message, (exc.details.get("host"), exc.details.get("subject")))
    if status == 401:
        headers = (*headers, ("WWW-Authenticate", f'Keystone uri="{request.links.base}/identity"'))
    if isinstance(exc, TooLarge) and "content-length" not in request.headers:
        # The length of the rest is unknown, so the connection ends here.
        headers = (*headers, ("Connection", "close"))
    return status, Reply(fault(status, message, identity=service.identity, network=service.network), headers=headers)


def _honest(exc: Exception) -> Exception:
    """If a part of the request was accepted before the failure, the outcome is unknown and not a refusal."""
    if CHANGED.get() and isinstance(exc, DatabaseUnavailable | RpcUnavailable | RpcTimeout):
        return RequestOutcomeUnknown(f"A part of it has been: {', '.join(CHANGED.get())}. {exc.message}")
    return exc


def _is_repeatable(request: _Request) -> bool:
    """Whether a second request changes no more than the first."""
    if request.method not in ("POST", "PATCH"):
        return True
    return request.route is not None and request.route.idempotency_header in request.headers


def _headers(request: _Request, service: Service) -> list[tuple[str, str]]:
    headers = [("x-openstack-request-id", request.id)]
    if service.microversions:
        text = request.negotiated.text
        headers += [
            ("x-compute-request-id", request.id),
            ("OpenStack-API-Version", f"compute {text}"),
            ("X-OpenStack-Nova-API-Version", text),
            ("Vary", "OpenStack-API-Version"),
            ("Vary", "X-OpenStack-Nova-API-Version"),
        ]
    elif service.identity:
        headers.append(("Vary", "X-Auth-Token"))
    return headers


async def _lifespan(receive: Receive, send: Send) -> None:
    """Answer at once: start and stop belong to `kilonova.wiring`."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
