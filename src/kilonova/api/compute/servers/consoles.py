# SPDX-License-Identifier: Apache-2.0
"""URLs of interactive consoles: the serial console.

Source: Compute API reference, "Server Remote Consoles", and the action os-getSerialConsole up to 2.5.
"""

from typing import Literal

from pydantic import Field
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from kilonova.api.compute.servers.resource import find
from kilonova.api.console_socket import PATH
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, View
from kilonova.base.errors import InvalidInput, InvalidState, NotSupported
from kilonova.objects.states import PowerState

RUNS = (PowerState.RUNNING, PowerState.PAUSED)


class RemoteConsole(Body):
    protocol: Literal["vnc", "spice", "rdp", "serial", "mks"]
    type: Literal["novnc", "xvpvnc", "rdp-html5", "spice-html5", "serial", "webmks"]


class CreateRemoteConsole(Body):
    remote_console: RemoteConsole


class SerialKind(Body):
    type: Literal["serial"]


class GetSerialConsole(Body):
    serial: SerialKind = Field(alias="os-getSerialConsole")


class RemoteConsoleUrl(TypedDict):
    """A console and its address."""

    protocol: str
    type: str
    url: str


class ConsoleUrl(TypedDict):
    """The same up to 2.5."""

    type: str
    url: str


REMOTE_CONSOLE = View[str, Call]("", Member("remote_console", RemoteConsoleUrl, lambda url, _: _serial(url)))
CONSOLE = View[str, Call]("", Member("console", ConsoleUrl, lambda url, _: {"type": "serial", "url": url}))


def _serial(url: str) -> RemoteConsoleUrl:
    return {"protocol": "serial", "type": "serial", "url": url}


async def create(call: Call, body: CreateRemoteConsole) -> Reply:
    """Create a remote console: a URL that a websocket client opens."""
    console = body.remote_console
    return REMOTE_CONSOLE.reply(await _url(call, console.protocol, console.type), call)


async def get_serial_console(call: Call, _body: GetSerialConsole) -> Reply:
    """Create a serial console, before remote-consoles existed."""
    return CONSOLE.reply(await _url(call, "serial", "serial"), call)


async def _url(call: Call, protocol: str, kind: str) -> str:
    instance = await find(call)
    if (protocol, kind) != ("serial", "serial"):
        raise InvalidInput(
            f"A console of protocol {protocol} and type {kind} is not available here: "
            "only the serial one is (protocol serial, type serial).",
            path="remote_console.type",
        )
    if call.deps.consoles is None:
        raise NotSupported(
            "Interactive consoles are not available in a fleet: `openstack console log show` prints the console's "
            "output."
        )
    if instance.host is None or instance.power_state not in RUNS:
        raise InvalidState(f"Instance {instance.id} is not running: it has no console now.", vm_state=instance.vm_state)
    scheme, _, rest = call.links.base.partition("://")
    websocket = "wss" if scheme == "https" else "ws"
    claims = call.deps.tokens.verify(call.headers["x-auth-token"])
    return f"{websocket}://{rest}{PATH}?token={call.deps.console_tokens.mint(instance.id, claims)}"


ROUTES = (
    Route("POST", "/servers/{server_id}/remote-consoles", create, "os_compute_api:os-remote-consoles",
        DefaultPolicy.MEMBER, reply=REMOTE_CONSOLE, body=CreateRemoteConsole, min=v2(6)),
)  # fmt: skip
