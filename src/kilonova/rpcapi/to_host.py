# SPDX-License-Identifier: Apache-2.0
"""Calls to a host: a wake-up and synchronous reads.  Actions never come this way: a host fetches them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kilonova.base.errors import (
    HypervisorError,
    HypervisorUnavailable,
    InvalidState,
    NotFound,
    NotSupported,
    Unauthorized,
)
from kilonova.objects.console import ConsoleKind, ConsoleTicket
from kilonova.objects.diagnostics import GuestDiagnostics
from kilonova.objects.examination import ReportedFinding
from kilonova.objects.ids import ImageId, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.rpcapi.method import Ack, Kind, Method

SUBJECT = "compute.*"
"""`*` is the host."""
EXAMINE_S = 20.0
"""The limit of the doctor's process on a host: its checks end within ten seconds, and its start takes one or two."""


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
class ExamineHost:
    """What the doctor finds on the host's machine."""


@dataclass(frozen=True, slots=True)
class HostFindings:
    """The findings of all checks, in the order of the doctor's report."""

    findings: tuple[ReportedFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class CacheImages:
    """Images that will be needed; those that the host has already cost nothing.  `grants`: the host's permissions to
    fetch them (see kilonova.images.signing), by image; none in the one box."""

    images: tuple[ImageRef, ...]
    grants: Mapping[ImageId, str] = field(default_factory=dict[ImageId, str], repr=False)


@dataclass(frozen=True, slots=True)
class GrantConsole:
    """One session on a guest's console may begin within `valid_s` seconds, for the bearer of the token whose SHA-256 is
    `token_hash`.

    `bearer` comes back with the session, unread: the host neither needs nor checks who the bearer is.
    """

    token_hash: str = field(repr=False)
    instance_id: InstanceId
    kind: ConsoleKind
    view_only: bool
    bearer: str = field(repr=False)
    valid_s: float


@dataclass(frozen=True, slots=True)
class RedeemConsole:
    """A console's token is used.  `token_hash` as in GrantConsole."""

    token_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class GrantedConsole:
    """The session that the token was for, and the ticket for it."""

    ticket: ConsoleTicket
    view_only: bool
    bearer: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FindConsoles:
    """A request without fields."""


@dataclass(frozen=True, slots=True)
class ConsolesAt:
    """Where API processes reach the host's console listener, and its certificate in PEM."""

    address: str
    port: int
    certificate: str


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
# One attempt: a second one would only wait behind the first.
EXAMINE = Method(
    SUBJECT,
    "examine",
    ExamineHost,
    HostFindings,
    "Run the doctor's checks on the host. HypervisorError: they cannot be run.",
    (HypervisorError,),
    timeout_s=EXAMINE_S + 2,
    idempotent=False,
    changes=False,
    since=2,
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
GRANT_CONSOLE = Method(
    SUBJECT,
    "grant_console",
    GrantConsole,
    Ack,
    "Permit one session on a guest's console. InvalidState: the guest does not run, or has no screen. NotSupported: "
    "this host has no such consoles. A repeat changes nothing.",
    (InvalidState, NotSupported, HypervisorUnavailable, HypervisorError),
    timeout_s=10,
    attempt_s=10,
    changes=False,
    since=2,
)
# One attempt: the token is used up by the first.
REDEEM_CONSOLE = Method(
    SUBJECT,
    "redeem_console",
    RedeemConsole,
    GrantedConsole,
    "Exchange a console's token for a ticket of the host's console listener. Unauthorized: the token was used, has "
    "expired, or does not exist.",
    (Unauthorized, HypervisorUnavailable),
    timeout_s=5,
    idempotent=False,
    changes=False,
    since=2,
)
FIND_CONSOLES = Method(
    SUBJECT,
    "find_consoles",
    FindConsoles,
    ConsolesAt,
    "Where the host listens for consoles: for a check of the way to it. HypervisorUnavailable: it does not listen.",
    (HypervisorUnavailable,),
    timeout_s=3,
    attempt_s=1.5,
    changes=False,
    since=2,
)
