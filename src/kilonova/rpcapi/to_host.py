# SPDX-License-Identifier: Apache-2.0
"""Calls to a host: a wake-up and synchronous reads.  Actions never come this way: a host fetches them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kilonova.base.errors import HypervisorError, HypervisorUnavailable, InvalidState, NotFound
from kilonova.objects.diagnostics import GuestDiagnostics
from kilonova.objects.ids import ImageId, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.rpcapi.method import Ack, Kind, Method

SUBJECT = "compute.*"
"""`*` is the host."""


@dataclass(frozen=True, slots=True)
class Wake:
    """Fetch actions now."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Whether the host's process lives, before it is called down."""


@dataclass(frozen=True, slots=True)
class Alive:
    """The process that answers."""

    epoch: int


@dataclass(frozen=True, slots=True)
class ConsoleOutput:
    """The last `max_bytes` of a guest's serial console."""

    instance_id: InstanceId
    max_bytes: int = 102_400


@dataclass(frozen=True, slots=True)
class Text:
    """Console text; bytes that are not UTF-8 are replaced."""

    text: str


@dataclass(frozen=True, slots=True)
class HostUptime:
    """How long the host has been up, and its load."""


@dataclass(frozen=True, slots=True)
class Uptime:
    """The line that `uptime` prints on the host."""

    text: str


@dataclass(frozen=True, slots=True)
class Diagnose:
    """All measurements of one running guest."""

    instance_id: InstanceId


@dataclass(frozen=True, slots=True)
class CacheImages:
    """Images that will be needed; those that the host has already cost nothing.  `grants`: the host's permissions to
    fetch them (see kilonova.images.signing), by image; none in the one box."""

    images: tuple[ImageRef, ...]
    grants: Mapping[ImageId, str] = field(default_factory=dict[ImageId, str], repr=False)


WAKE = Method(
    SUBJECT,
    "wake",
    Wake,
    Ack,
    "Fetch actions now. A lost message costs one poll interval.",
    kind=Kind.CAST,
    timeout_s=5,
)
PING = Method(
    SUBJECT, "ping", Ping, Alive, "Whether the host's process lives.", timeout_s=2, attempt_s=1, changes=False, since=2
)
CACHE_IMAGES = Method(
    SUBJECT,
    "cache_images",
    CacheImages,
    Ack,
    "Fetch images in advance. A lost message costs the first build from each image a download.",
    kind=Kind.CAST,
    timeout_s=5,
)
CONSOLE_OUTPUT = Method(
    SUBJECT,
    "console_output",
    ConsoleOutput,
    Text,
    "Read a guest's serial console. NotFound: the host has no such guest.",
    (NotFound, HypervisorUnavailable, HypervisorError),
    timeout_s=10,
    changes=False,
)
HOST_UPTIME = Method(
    SUBJECT,
    "host_uptime",
    HostUptime,
    Uptime,
    "How long the host has been up, and its load. HypervisorError: the host cannot measure it.",
    (HypervisorError,),
    timeout_s=5,
    idempotent=False,
    changes=False,
)
# One attempt: a second one would only wait behind the first at a guest that does not respond.
DIAGNOSE = Method(
    SUBJECT,
    "diagnose",
    Diagnose,
    GuestDiagnostics,
    "Measurements of a running guest. InvalidState: it does not run, or does not respond.",
    (NotFound, InvalidState, HypervisorUnavailable, HypervisorError),
    timeout_s=10,
    attempt_s=10,
    changes=False,
)
