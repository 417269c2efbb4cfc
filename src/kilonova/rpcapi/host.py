# SPDX-License-Identifier: Apache-2.0
"""What a host asks of the conductor.  The host's name is a token of the subject, which its credentials pin."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kilonova.objects.action import ActionEvent
from kilonova.objects.ids import AttemptId, HostName, ImageId, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.leg import LegId
from kilonova.objects.service import Inventory
from kilonova.objects.states import PowerState
from kilonova.rpc.bus import token
from kilonova.rpcapi.batch import Each
from kilonova.rpcapi.method import Ack, Caller, Method
from kilonova.rpcapi.work import Fetch, Fetched

SUBSCRIPTION = "conductor.host.*"

HOST_BOOT = "host-boot"
"""The `cause` in an action's params: the host has booted, and starts few of these at a time."""


def subject(host: HostName) -> str:
    """Where a host's requests go; a conductor refuses a request whose `host` is another than the subject's."""
    return f"conductor.host.{token(host)}"


@dataclass(frozen=True, slots=True)
class RegisterHost:
    """`process_id` is fresh at each start of the host's process: the same one gets the same epoch again.
    `resume_guests`: when the machine has booted since the host's last process, start the guests that should run.

    `state_id` names the state directory by its lock file, which the process holds, as this boot of the machine knows
    it; empty: it holds none.  `started_s` is when the process started, in seconds since the machine booted.  Of two
    processes with the same boot and state id only one can hold the lock: the one that started later."""

    host: HostName
    process_id: str
    node_id: str
    boot_id: str
    binary: str
    topic: str
    version: int
    availability_zone: str
    resume_guests: bool = True
    state_id: str = ""
    started_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Registered:
    """`epoch` grows with each process of a host; what comes from an older one is refused with StaleWrite.
    `rebooted`: this very request is the first since the machine booted anew; `resumed` guests are to be started."""

    epoch: int
    rebooted: bool = False
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    host: HostName
    epoch: int


@dataclass(frozen=True, slots=True)
class Leave:
    """The process of that epoch ends in order: another one may register at once."""

    host: HostName
    epoch: int


@dataclass(frozen=True, slots=True)
class Ping:
    """Does the conductor answer, with its database?"""

    host: HostName


@dataclass(frozen=True, slots=True)
class Finish:
    """The outcome of an attempt at a leg.  `power` is the hypervisor's last report; None: the guest is absent."""

    host: HostName
    leg: LegId
    attempt: AttemptId
    succeeded: bool
    power: PowerState | None
    events: tuple[ActionEvent, ...] = ()
    message: str | None = None


@dataclass(frozen=True, slots=True)
class ConfirmAttempt:
    """Whether the process of that epoch still has the leg under that attempt."""

    host: HostName
    epoch: int
    leg: LegId
    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class RecordEvents:
    """Steps of an attempt that is still going on, so that people can watch."""

    host: HostName
    leg: LegId
    attempt: AttemptId
    events: tuple[ActionEvent, ...]


@dataclass(frozen=True, slots=True)
class BeginImage:
    """The host begins, or goes on, to make the image that the action is to make."""

    host: HostName
    leg: LegId
    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class ImageBegun:
    """`saved`: the image is whole already; an earlier attempt has come that far."""

    saved: bool


@dataclass(frozen=True, slots=True)
class CompleteImage:
    """The image's bytes are in the store.  Sizes in bytes, hashes in hex."""

    host: HostName
    leg: LegId
    attempt: AttemptId
    size: int
    virtual_size: int
    md5: str
    sha512: str


@dataclass(frozen=True, slots=True)
class DropImages:
    """The images that the action makes needless: backups beyond the rotation, the image of a server that came off the
    shelf."""

    host: HostName
    leg: LegId
    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class Dropped:
    """Images that have no record any more: their bytes may go."""

    images: tuple[ImageId, ...] = ()


@dataclass(frozen=True, slots=True)
class Observed:
    """One read of one guest; `power` None means that the hypervisor said there is no such guest."""

    instance_id: InstanceId
    power: PowerState | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ReportStates:
    host: HostName
    epoch: int
    states: Each[Observed]


@dataclass(frozen=True, slots=True)
class ListExpected:
    host: HostName
    epoch: int


@dataclass(frozen=True, slots=True)
class ExpectedGuest:
    """What the database believes of one guest.  `busy`: an action is open, so a read proves nothing yet."""

    instance_id: InstanceId
    power: PowerState
    busy: bool


@dataclass(frozen=True, slots=True)
class Expected:
    guests: Each[ExpectedGuest]


@dataclass(frozen=True, slots=True)
class JudgeGuests:
    """`guests` bear our metadata on this host."""

    host: HostName
    epoch: int
    guests: tuple[InstanceId, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """Those that are no instances of this host: `deleted` from this very host (the first of them, as many as one
    message takes), `elsewhere` (of another host, or deleted from one), `unknown` to the database."""

    deleted: Each[Instance] = ()
    elsewhere: tuple[InstanceId, ...] = ()
    unknown: tuple[InstanceId, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportInventory:
    host: HostName
    epoch: int
    node_id: str
    inventory: Inventory


@dataclass(frozen=True, slots=True)
class SetHostEnabled:
    """Level-triggered; never touches an operator's own disable."""

    host: HostName
    epoch: int
    enabled: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """What an operator should hear of.  `id` is fresh for each, so that a repeat is known."""

    id: str
    at: datetime
    event_type: str
    priority: str
    payload: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Notify:
    host: HostName
    notice: Notice


# Short, because the host asks for as long as it takes, and says each time that it is waiting.
REGISTER_HOST = Method(
    "register_host", RegisterHost, Registered, "A host's process has started.", timeout_s=5, attempt_s=2.5
)
HEARTBEAT = Method("heartbeat", Heartbeat, Ack, "The host lives.", timeout_s=8, attempt_s=4)
# A process that ends waits no longer than this for its conductor.
LEAVE = Method("leave", Leave, Ack, "The host's process ends in order.", timeout_s=1.5, attempt_s=0.7)
PING = Method("ping", Ping, Ack, "Whether the conductor answers, with its database.", timeout_s=2.5, attempt_s=1)
# Sent again under the same attempt it hands out the same work, so a lost reply costs one attempt's patience.
FETCH = Method("fetch", Fetch, Fetched, "Hand out the host's open actions.", timeout_s=12, attempt_s=3)
FINISH = Method("finish", Finish, Ack, "An attempt ended.  A repeated report of the same attempt changes nothing.")
CONFIRM_ATTEMPT = Method("confirm_attempt", ConfirmAttempt, Ack, "Whether an attempt is still the current one.")
RECORD_EVENTS = Method("record_events", RecordEvents, Ack, "Steps of an attempt, for people to read.")
BEGIN_IMAGE = Method("begin_image", BeginImage, ImageBegun, "An action's image is being made; NotFound once deleted.")
COMPLETE_IMAGE = Method("complete_image", CompleteImage, Ack, "An action's image is whole; NotFound once deleted.")
DROP_IMAGES = Method("drop_images", DropImages, Dropped, "Forget the images that an action makes needless.")
REPORT_STATES = Method("report_states", ReportStates, Ack, "What the hypervisor says of guests.")
LIST_EXPECTED = Method("list_expected", ListExpected, Expected, "What the database believes of the host's guests.")
JUDGE_GUESTS = Method("judge_guests", JudgeGuests, Judged, "Which of these guests should not be on this host.")
REPORT_INVENTORY = Method("report_inventory", ReportInventory, Ack, "What the host has and offers.")
SET_HOST_ENABLED = Method("set_host_enabled", SetHostEnabled, Ack, "The host's hypervisor is in service, or is not.")

NOTIFY = Method("notify", Notify, Ack, "A notification of the host's, to be kept for people.")


class HostAPI:
    """The host's end.  All raise StaleWrite when the host's epoch or the attempt is no longer the current one
    (HostSuperseded when the host has a newer process), RpcTimeout or RpcUnavailable when the conductor does not
    answer."""

    def __init__(self, caller: Caller, host: HostName) -> None:
        self._caller, self._host, self._subject = caller, host, subject(host)

    @property
    def host(self) -> HostName:
        return self._host

    async def register(self, request: RegisterHost) -> Registered:
        """The standing of this process.  Raises StateError when the conductor knows host or node otherwise, HostTaken
        while another process of the host lives or may live."""
        return await self._caller.call(self._subject, REGISTER_HOST, request)

    async def heartbeat(self, epoch: int) -> None:
        await self._caller.call(self._subject, HEARTBEAT, Heartbeat(self._host, epoch))

    async def leave(self, epoch: int) -> None:
        await self._caller.call(self._subject, LEAVE, Leave(self._host, epoch))

    async def ping(self) -> None:
        await self._caller.call(self._subject, PING, Ping(self._host))

    async def fetch(self, epoch: int, attempt: AttemptId, running: tuple[LegId, ...]) -> Fetched:
        return await self._caller.call(self._subject, FETCH, Fetch(self._host, epoch, attempt, running))

    async def finish(self, request: Finish) -> None:
        await self._caller.call(self._subject, FINISH, request)

    async def confirm_attempt(self, epoch: int, leg: LegId, attempt: AttemptId) -> None:
        """Raises NotFound when there is no such action."""
        await self._caller.call(self._subject, CONFIRM_ATTEMPT, ConfirmAttempt(self._host, epoch, leg, attempt))

    async def record_events(self, leg: LegId, attempt: AttemptId, events: tuple[ActionEvent, ...]) -> None:
        await self._caller.call(self._subject, RECORD_EVENTS, RecordEvents(self._host, leg, attempt, events))

    async def begin_image(self, leg: LegId, attempt: AttemptId) -> bool:
        """Whether the image is whole already.  Raises NotFound when it was deleted."""
        return (await self._caller.call(self._subject, BEGIN_IMAGE, BeginImage(self._host, leg, attempt))).saved

    async def complete_image(self, request: CompleteImage) -> None:
        """Raises NotFound when the image was deleted."""
        await self._caller.call(self._subject, COMPLETE_IMAGE, request)

    async def drop_images(self, leg: LegId, attempt: AttemptId) -> tuple[ImageId, ...]:
        """The images whose bytes may go."""
        return (await self._caller.call(self._subject, DROP_IMAGES, DropImages(self._host, leg, attempt))).images

    async def report_states(self, epoch: int, states: tuple[Observed, ...]) -> None:
        await self._caller.call(self._subject, REPORT_STATES, ReportStates(self._host, epoch, states))

    async def list_expected(self, epoch: int) -> tuple[ExpectedGuest, ...]:
        return (await self._caller.call(self._subject, LIST_EXPECTED, ListExpected(self._host, epoch))).guests

    async def judge(self, epoch: int, guests: tuple[InstanceId, ...]) -> Judged:
        return await self._caller.call(self._subject, JUDGE_GUESTS, JudgeGuests(self._host, epoch, guests))

    async def report_inventory(self, epoch: int, node_id: str, inventory: Inventory) -> None:
        await self._caller.call(self._subject, REPORT_INVENTORY, ReportInventory(self._host, epoch, node_id, inventory))

    async def set_host_enabled(self, epoch: int, enabled: bool, reason: str) -> None:
        await self._caller.call(self._subject, SET_HOST_ENABLED, SetHostEnabled(self._host, epoch, enabled, reason))

    async def notify(self, notice: Notice) -> None:
        await self._caller.call(self._subject, NOTIFY, Notify(self._host, notice))
