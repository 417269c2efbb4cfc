# SPDX-License-Identifier: Apache-2.0
"""What a host answers: a wake-up and synchronous reads.  Work never comes this way: a host fetches its actions."""

from dataclasses import dataclass

from kilonova.objects.diagnostics import GuestDiagnostics
from kilonova.objects.ids import HostName, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.rpc.bus import token
from kilonova.rpcapi.method import Ack, Caller, Kind, Method


def subject(host: HostName) -> str:
    """Where one host listens."""
    return f"compute.{token(host)}"


@dataclass(frozen=True, slots=True)
class Wake:
    """Look for actions now."""


@dataclass(frozen=True, slots=True)
class ConsoleOutput:
    """The last `max_bytes` of a guest's serial console."""

    instance_id: InstanceId
    max_bytes: int = 102_400


@dataclass(frozen=True, slots=True)
class Text:
    """Console text; bytes that are no UTF-8 are replaced."""

    text: str


@dataclass(frozen=True, slots=True)
class HostUptime:
    """Since when the host runs, and its load."""


@dataclass(frozen=True, slots=True)
class Uptime:
    """The line that the host's own `uptime` prints."""

    text: str


@dataclass(frozen=True, slots=True)
class Diagnose:
    """All that is measured of one running guest."""

    instance_id: InstanceId


@dataclass(frozen=True, slots=True)
class CacheImages:
    """Images that will be wanted; those that the host has already cost nothing."""

    images: tuple[ImageRef, ...]


WAKE = Method("wake", Wake, Ack, "There is work: fetch it.", kind=Kind.CAST, timeout_s=5)
CACHE_IMAGES = Method(
    "cache_images", CacheImages, Ack, "Fetch images before anybody waits for them.", kind=Kind.CAST, timeout_s=5
)
CONSOLE_OUTPUT = Method(
    "console_output", ConsoleOutput, Text, "Read a guest's serial console.", timeout_s=10, changes=False
)
HOST_UPTIME = Method(
    "host_uptime",
    HostUptime,
    Uptime,
    "Since when the host runs, and its load.",
    timeout_s=5,
    idempotent=False,
    changes=False,
)
# Asked once: a second question would only wait behind the first one at a guest that does not answer.
DIAGNOSE = Method(
    "diagnose",
    Diagnose,
    GuestDiagnostics,
    "Read what is measured of a running guest.",
    timeout_s=10,
    attempt_s=10,
    changes=False,
)


class ComputeAPI:
    """The caller's end."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def wake(self, host: HostName) -> None:
        """A hint; its loss costs one poll interval."""
        await self._caller.cast(subject(host), WAKE, Wake())

    async def cache_images(self, host: HostName, images: tuple[ImageRef, ...]) -> None:
        """A hint; its loss costs the first build from each of them a download."""
        await self._caller.cast(subject(host), CACHE_IMAGES, CacheImages(images))

    async def console_output(self, host: HostName, instance_id: InstanceId, max_bytes: int) -> str:
        """Raises NotFound when the host has no such guest, HypervisorUnavailable, RpcTimeout, RpcUnavailable."""
        return (await self._caller.call(subject(host), CONSOLE_OUTPUT, ConsoleOutput(instance_id, max_bytes))).text

    async def host_uptime(self, host: HostName) -> str:
        """Raises HypervisorError when the host cannot tell, RpcTimeout, RpcUnavailable."""
        return (await self._caller.call(subject(host), HOST_UPTIME, HostUptime())).text

    async def diagnostics(self, host: HostName, instance_id: InstanceId) -> GuestDiagnostics:
        """Raises InvalidState when it does not run or respond, HypervisorUnavailable, RpcTimeout, RpcUnavailable."""
        return await self._caller.call(subject(host), DIAGNOSE, Diagnose(instance_id))
