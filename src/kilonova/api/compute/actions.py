# SPDX-License-Identifier: Apache-2.0
"""POST /servers/{id}/action: one key says which.

Each is a row of ACTIONS.  What is accepted is durable: the answer comes when the action is on disk.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from kilonova.api.body import Body, json_object, validated_value
from kilonova.api.call import Call, Reply, json_reply
from kilonova.api.compute.fields import Whole
from kilonova.api.compute.remote_consoles import GetSerialConsole, get_serial_console
from kilonova.api.compute.servers import find
from kilonova.api.microversion import MAX, MIN, Microversion, v2
from kilonova.api.route import Role, strongest
from kilonova.base.errors import Forbidden, InvalidInput, InvalidState, NotFound
from kilonova.objects.states import Verb

CONSOLE_BYTES = 102_400
"""What a console shows at most."""

_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f]")


class Stop(Body):
    nothing: Any = Field(alias="os-stop")


class Start(Body):
    nothing: Any = Field(alias="os-start")


class RebootKind(Body):
    type: Literal["SOFT", "HARD", "Soft", "Hard", "soft", "hard"]


class Reboot(Body):
    reboot: RebootKind


class Pause(Body):
    nothing: Any = Field(alias="pause")


class Unpause(Body):
    nothing: Any = Field(alias="unpause")


class LockReason(Body):
    locked_reason: Annotated[str, StringConstraints(min_length=1, max_length=255)]


class Lock(Body):
    reason: LockReason | None = Field(alias="lock")


class PlainLock(Body):
    nothing: Any = Field(alias="lock")


class Unlock(Body):
    nothing: Any = Field(alias="unlock")


class NewState(Body):
    state: Literal["active", "error"]


class ResetState(Body):
    wanted: NewState = Field(alias="os-resetState")


class ConsoleLines(Body):
    """-1 and null mean all of them."""

    length: Whole | None = Field(default=None, ge=-1)


class ConsoleOutput(Body):
    console: ConsoleLines = Field(alias="os-getConsoleOutput")


async def stop(call: Call, _body: Stop) -> Reply:
    """ACTIVE to SHUTOFF; the guest is asked first."""
    return await _accept(call, Verb.STOP)


async def start(call: Call, _body: Start) -> Reply:
    """SHUTOFF to ACTIVE."""
    return await _accept(call, Verb.START)


async def reboot(call: Call, body: Reboot) -> Reply:
    """SOFT asks the guest, HARD does not."""
    return await _accept(call, Verb.REBOOT, {"type": body.reboot.type.upper()})


async def pause(call: Call, _body: Pause) -> Reply:
    """ACTIVE to PAUSED."""
    return await _accept(call, Verb.PAUSE)


async def unpause(call: Call, _body: Unpause) -> Reply:
    """PAUSED to ACTIVE."""
    return await _accept(call, Verb.UNPAUSE)


async def lock(call: Call, body: Lock | PlainLock) -> Reply:
    """Its owner's actions are refused until it is unlocked; an administrator's are not."""
    reason = body.reason if isinstance(body, Lock) else None
    return await _accept(call, Verb.LOCK, {} if reason is None else {"reason": reason.locked_reason})


async def unlock(call: Call, _body: Unlock) -> Reply:
    """What an administrator locked, only an administrator unlocks."""
    return await _accept(call, Verb.UNLOCK)


async def reset_state(call: Call, body: ResetState) -> Reply:
    """An administrator's word on what the server is, when what is shown is wrong.  Nothing is done to the guest."""
    return await _accept(call, Verb.RESET_STATE, {"state": body.wanted.state})


async def _accept(call: Call, verb: Verb, params: Mapping[str, str] | None = None) -> Reply:
    instance = await find(call)
    await call.deps.conductor.accept_action(call.context, instance.id, verb, params)
    return Reply(status=202)


async def console_output(call: Call, body: ConsoleOutput) -> Reply:
    """The last lines of the serial console, read from the host now."""
    instance = await find(call)
    if instance.host is None:
        raise InvalidState(f"Instance {instance.id} is not ready", vm_state=instance.vm_state)
    try:
        text = await call.deps.compute.console_output(instance.host, instance.id, CONSOLE_BYTES)
    except NotFound as exc:  # the server is there, its guest is not yet, or no longer
        raise InvalidState(f"Instance {instance.id} is not ready", vm_state=instance.vm_state) from exc
    length = body.console.length
    if length is not None and length >= 0:
        text = "".join(text.splitlines(keepends=True)[-length:]) if length else ""
    return json_reply({"output": _INVISIBLE.sub("", text)}, status=200)


@dataclass(frozen=True, slots=True)
class ActionRow:
    """One action: its body's model, its handler, its policy."""

    body: type[Body]
    handler: Callable[[Call, Any], Awaitable[Reply]]
    rule: str
    role: Role = Role.MEMBER
    min: Microversion = MIN
    max: Microversion = MAX


WITH_REASON = v2(73)

ACTIONS: Mapping[str, tuple[ActionRow, ...]] = {
    "os-stop": (ActionRow(Stop, stop, "os_compute_api:servers:stop"),),
    "os-start": (ActionRow(Start, start, "os_compute_api:servers:start"),),
    "reboot": (ActionRow(Reboot, reboot, "os_compute_api:servers:reboot"),),
    "pause": (ActionRow(Pause, pause, "os_compute_api:os-pause-server:pause"),),
    "unpause": (ActionRow(Unpause, unpause, "os_compute_api:os-pause-server:unpause"),),
    "lock": (
        ActionRow(PlainLock, lock, "os_compute_api:os-lock-server:lock", max=v2(72)),
        ActionRow(Lock, lock, "os_compute_api:os-lock-server:lock", min=WITH_REASON),
    ),
    "unlock": (ActionRow(Unlock, unlock, "os_compute_api:os-lock-server:unlock"),),
    "os-resetState": (ActionRow(ResetState, reset_state, "os_compute_api:os-admin-actions:reset_state", Role.ADMIN),),
    "os-getConsoleOutput": (ActionRow(ConsoleOutput, console_output, "os_compute_api:os-console-output"),),
    "os-getSerialConsole": (
        ActionRow(GetSerialConsole, get_serial_console, "os_compute_api:os-remote-consoles", max=v2(5)),
    ),
}


def row_of(name: str, version: Microversion) -> ActionRow | None:
    """The row that serves an action at a microversion."""
    return next((row for row in ACTIONS.get(name, ()) if row.min <= version <= row.max), None)


async def act(call: Call, data: bytes) -> Reply:
    """Find the row by the body's one key, and go by it."""
    asked = json_object(data)
    name = next(iter(asked), "")
    row = row_of(name, call.version)
    if len(asked) != 1 or row is None:
        raise InvalidInput(f"There is no such action: {name[:64]}." if asked else "Malformed request body: no action.")
    if strongest(call.context.roles) < row.role:
        raise Forbidden(f"Policy doesn't allow {row.rule} to be performed.", rule=row.rule)
    return await row.handler(call, validated_value(row.body, asked, call.version))
