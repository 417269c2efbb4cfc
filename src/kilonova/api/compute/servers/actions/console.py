# SPDX-License-Identifier: Apache-2.0
"""The console: its last lines, and the URLs of interactive ones (up to 2.5)."""

import re

from pydantic import Field

from kilonova.api.compute.fields import Whole
from kilonova.api.compute.servers.consoles import (
    CONSOLE,
    GetSerialConsole,
    GetVncConsole,
    get_serial_console,
    get_vnc_console,
)
from kilonova.api.compute.servers.resource import find
from kilonova.api.http.actions import ActionRoute, ActionRoutes
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call, Reply
from kilonova.api.http.microversion import v2
from kilonova.api.http.views import Member, View
from kilonova.base.errors import InvalidState, NotFound
from kilonova.rpcapi import to_host

CONSOLE_BYTES = 102_400
"""At most so many bytes of a console are shown."""

_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f]")


class ConsoleLines(Body):
    """-1 and null mean all lines."""

    length: Whole | None = Field(default=None, ge=-1)


class ConsoleOutput(Body):
    console: ConsoleLines = Field(alias="os-getConsoleOutput")


OUTPUT = View[str, Call]("", Member("output", str, lambda output, _: output))


async def console_output(call: Call, body: ConsoleOutput) -> Reply:
    """Show the last lines of the serial console, read from the host."""
    instance = await find(call)
    if instance.host is None:
        raise InvalidState(f"Instance {instance.id} is not ready", vm_state=instance.vm_state)
    try:
        text = (
            await call.deps.rpc.call(
                to_host.CONSOLE_OUTPUT, to_host.ConsoleOutput(instance.id, CONSOLE_BYTES), instance.host
            )
        ).text
    except NotFound as exc:  # the server exists, but its guest does not, or not yet
        raise InvalidState(f"Instance {instance.id} is not ready", vm_state=instance.vm_state) from exc
    return OUTPUT.reply(_last(_INVISIBLE.sub("", text), body.console.length), call)


def _last(text: str, length: int | None) -> str:
    """The last lines.  Clients count lines by the line feeds between them, so the last line ends without one."""
    if length is None or length < 0:
        return text
    return "\n".join(text.removesuffix("\n").split("\n")[-length:]) if length else ""


ROUTES: ActionRoutes = {
    "os-getConsoleOutput": (
        ActionRoute(ConsoleOutput, console_output, "os_compute_api:os-console-output", success=200, reply=OUTPUT),
    ),
    "os-getSerialConsole": (
        ActionRoute(
            GetSerialConsole,
            get_serial_console,
            "os_compute_api:os-remote-consoles",
            success=200,
            reply=CONSOLE,
            max=v2(5),
        ),
    ),
    "os-getVNCConsole": (
        ActionRoute(
            GetVncConsole,
            get_vnc_console,
            "os_compute_api:os-remote-consoles",
            success=200,
            reply=CONSOLE,
            max=v2(5),
        ),
    ),
}
