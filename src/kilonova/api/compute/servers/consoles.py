# SPDX-License-Identifier: Apache-2.0
"""URLs of interactive consoles: the serial console, and the screen by VNC.

Sources: Compute API reference, "Server Remote Consoles"; os-getSerialConsole and os-getVNCConsole up to 2.5.
"""

from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from kilonova.api.compute.servers.resource import find
from kilonova.api.consoles import websocket
from kilonova.api.consoles.access import RULE, ConsoleRequest, new_token
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, View
from kilonova.base.errors import InvalidInput, InvalidState
from kilonova.objects.console import ConsoleKind
from kilonova.objects.states import PowerState

RUNS = (PowerState.RUNNING, PowerState.PAUSED)
PAGE = "/ui/console/{kind}/{server_id}"
"""The page that shows a console in a browser."""
KINDS = {("serial", "serial"): ConsoleKind.SERIAL, ("vnc", "novnc"): ConsoleKind.VNC}
"""The protocol and the type of what there is."""


class RemoteConsole(Body):
    protocol: Literal["vnc", "spice", "rdp", "serial", "mks"]
    type: Literal["novnc", "xvpvnc", "rdp-html5", "spice-html5", "serial", "webmks"]


class CreateRemoteConsole(Body):
    remote_console: RemoteConsole


class SerialKind(Body):
    type: Literal["serial"]


class GetSerialConsole(Body):
    serial: SerialKind = Field(alias="os-getSerialConsole")


class VncKind(Body):
    type: Literal["novnc", "xvpvnc"]


class GetVncConsole(Body):
    vnc: VncKind = Field(alias="os-getVNCConsole")


class RemoteConsoleUrl(TypedDict):
    """A console and its address."""

    protocol: str
    type: str
    url: str


class ConsoleUrl(TypedDict):
    """The same up to 2.5."""

    type: str
    url: str


REMOTE_CONSOLE = View[RemoteConsoleUrl, Call]("", Member("remote_console", RemoteConsoleUrl, lambda found, _: found))
CONSOLE = View[RemoteConsoleUrl, Call](
    "", Member("console", ConsoleUrl, lambda found, _: {"type": found["type"], "url": found["url"]})
)


async def create(call: Call, body: CreateRemoteConsole) -> Reply:
    """Create a remote console: a URL that opens once.  A websocket client opens the one of a serial console, a browser
    the one of a screen.  With view_only=true the session takes no input."""
    console = body.remote_console
    return REMOTE_CONSOLE.reply(await _console(call, console.protocol, console.type), call)


async def get_serial_console(call: Call, _body: GetSerialConsole) -> Reply:
    """Create a serial console, before remote-consoles existed."""
    return CONSOLE.reply(await _console(call, "serial", "serial"), call)


async def get_vnc_console(call: Call, body: GetVncConsole) -> Reply:
    """Create a VNC console, before remote-consoles existed."""
    return CONSOLE.reply(await _console(call, "vnc", body.vnc.type), call)


async def _console(call: Call, protocol: str, form: str) -> RemoteConsoleUrl:
    instance = await find(call)
    kind = KINDS.get((protocol, form))
    if kind is None:
        raise InvalidInput(
            f"A console of protocol {protocol} and type {form} is not available here: there are the serial one "
            "(protocol serial, type serial) and VNC (protocol vnc, type novnc).",
            path="remote_console.type",
        )
    if instance.host is None or instance.power_state not in RUNS:
        raise InvalidState(f"Instance {instance.id} is not running: it has no console now.", vm_state=instance.vm_state)
    claims = call.deps.tokens.verify(call.headers["x-auth-token"])
    view_only = bool(call.query.boolean("view_only"))
    token = await new_token(call.deps, ConsoleRequest(instance, kind, view_only, claims))
    base, path = call.links.base, PAGE
    if kind is ConsoleKind.SERIAL:
        base, path = f"ws{base.removeprefix('http')}", websocket.PATH  # ws: or wss:
    url = f"{base}{path.format(kind=kind, server_id=instance.id)}?token={token}"
    return {"protocol": protocol, "type": form, "url": url}


ROUTES = (
    Route("POST", "/servers/{server_id}/remote-consoles", create, RULE, DefaultPolicy.MEMBER, reply=REMOTE_CONSOLE,
        body=CreateRemoteConsole, query=frozenset({"view_only"}), min=v2(6)),
)  # fmt: skip
