# SPDX-License-Identifier: Apache-2.0
"""Calls of a host to the conductor.  The host's name is a token of the subject, which the host's credentials pin."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kilonova.base.errors import Forbidden, HostTaken, NotFound, StaleWrite, StateError
from kilonova.objects.action import ActionEvent
from kilonova.objects.guest import ReadMark, ReadNumber
from kilonova.objects.ids import AttemptId, HostName, InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.leg import LegId
from kilonova.objects.service import Inventory
from kilonova.objects.states import PowerState
from kilonova.rpcapi.batch import Each
from kilonova.rpcapi.method import Ack, Kind, Method
from kilonova.rpcapi.work import Fetch, Fetched

SUBJECT = "conductor.host.*"
"""`*` is the host.  A conductor refuses a request whose `host` is another than the subject's."""
HEARTBEATS = "heartbeat.*"
"""`*` is the host.  Every conductor receives these messages; they need no database."""


@dataclass(frozen=True, slots=True)
class RegisterHost:
    """`process_id` is new at each start of the host's process: the same process gets the same epoch again.
    `resume_guests`: when the machine has booted since the host's last process, start the guests that should run.

    `state_id` identifies the state directory by its lock file, which the process holds, as seen in this boot of the
    machine; empty: the process holds no lock.  `started_s` is when the process started, in seconds since the machine
    booted.  Of two processes with the same boot and state id only one can hold the lock: the process that started
    later.
    """

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
    """`epoch` grows with each process of a host; messages of an older process are refused with StaleWrite.  `rebooted`:
    this request is the first since the machine booted again; `resumed` guests are to be started.  `version` is the code
    version of the conductor that replies, `conductors` the lowest one of the live conductors.  `given_up`: an operator
    has given the host up, and its copies of servers must not run (see LIST_COPIES)."""

    epoch: int
    rebooted: bool = False
    resumed: int = 0
    version: int = 1
    conductors: int = 1
    given_up: bool = False


@dataclass(frozen=True, slots=True)
class Heartbeat:
    host: HostName
    epoch: int


@dataclass(frozen=True, slots=True)
class Leave:
    """The process of that epoch ends in an orderly way: another process may register at once."""

    host: HostName
    epoch: int


@dataclass(frozen=True, slots=True)
class Contest:
    """The process of that epoch lives, although the host has a newer process.  `newer` is the epoch of the newer
    process, from the refusal that reported it.  So this message cannot be a delayed message."""

    host: HostName
    epoch: int
    process_id: str
    boot_id: str
    newer: int


@dataclass(frozen=True, slots=True)
class Contested:
    """`conflict`: what two live processes of the host have to do, in a few sentences; empty when there are not two."""

    conflict: str = ""


@dataclass(frozen=True, slots=True)
class Ping:
    """Whether the conductor answers, with its database."""

    host: HostName


@dataclass(frozen=True, slots=True)
class Pong:
    """The time of the conductor's clock, and `trouble`: what an operator must correct about the name of this host, in
    one or two sentences.  A conductor of an older version reports neither."""

    now: datetime | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Finish:
    """The outcome of an attempt at a leg.  `power` is the last state that the hypervisor reported; None: the guest is
    provably absent.  `of_host`: the reason of a failure lies in the host, so that another host may succeed.  `read` is
    the read that `power` is from, which began after the last change of the guest by this attempt.  `refused`: the leg
    undoes a cancelled leg beyond its point of no return, which `message` names: the cancelled leg continues."""

    host: HostName
    leg: LegId
    attempt: AttemptId
    succeeded: bool
    power: PowerState | None
    events: tuple[ActionEvent, ...] = ()
    message: str | None = None
    of_host: bool = False
    read: ReadMark | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """`recorded`: the action has ended, and the instance's record has the power state of the report.  A further report
    of the same state, whatever its reason, would change nothing."""

    recorded: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmAttempt:
    """Whether the process of that epoch still owns the leg under that attempt."""

    host: HostName
    epoch: int
    leg: LegId
    attempt: AttemptId


@dataclass(frozen=True, slots=True)
class RecordEvents:
    """Steps of an attempt in progress, so that users see them."""

    host: HostName
    leg: LegId
    attempt: AttemptId
    events: tuple[ActionEvent, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """One read of one guest; `power` None means that the hypervisor reports no such guest.  `number` orders the reads
    of one process (see objects.guest.ReadMark)."""

    instance_id: InstanceId
    power: PowerState | None
    reason: str = ""
    number: ReadNumber = 0


@dataclass(frozen=True, slots=True)
class ReportStates:
    host: HostName
    epoch: int
    states: Each[Observed]


@dataclass(frozen=True, slots=True)
class StatesRecorded:
    """The guests whose records are now as reported.  The others have an open action, or a newer report, or are not on
    the host."""

    guests: tuple[InstanceId, ...] = ()


@dataclass(frozen=True, slots=True)
class ListExpected:
    host: HostName
    epoch: int


@dataclass(frozen=True, slots=True)
class ExpectedGuest:
    """One guest as the database records it.  `busy`: an action is open, so a read of the guest proves nothing yet."""

    instance_id: InstanceId
    power: PowerState
    busy: bool


@dataclass(frozen=True, slots=True)
class Expected:
    guests: Each[ExpectedGuest]


@dataclass(frozen=True, slots=True)
class ClassifyGuests:
    """`guests` are the guests on this host that carry our metadata."""

    host: HostName
    epoch: int
    guests: tuple[InstanceId, ...]


@dataclass(frozen=True, slots=True)
class GuestClasses:
    """The guests that are not instances of this host: `deleted` from this host (as many as one message takes),
    `elsewhere` (on another host, or deleted there), `unknown` to the database."""

    deleted: Each[Instance] = ()
    elsewhere: tuple[InstanceId, ...] = ()
    unknown: tuple[InstanceId, ...] = ()


@dataclass(frozen=True, slots=True)
class ListCopies:
    host: HostName
    epoch: int


@dataclass(frozen=True, slots=True)
class Copies:
    """Instances that were on the host when an operator gave it up.  `superfluous`: they live on another host, or are
    deleted.  The host may have the last copies of the `others`."""

    superfluous: tuple[InstanceId, ...] = ()
    others: tuple[InstanceId, ...] = ()


@dataclass(frozen=True, slots=True)
class CopiesRemoved:
    """The hypervisor of the host does not know these guests, and their disks are removed."""

    host: HostName
    epoch: int
    copies: tuple[InstanceId, ...]


@dataclass(frozen=True, slots=True)
class ReportInventory:
    host: HostName
    epoch: int
    node_id: str
    inventory: Inventory


@dataclass(frozen=True, slots=True)
class SetHostEnabled:
    """Level-triggered; does not change an administrator's own disable."""

    host: HostName
    epoch: int
    enabled: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification for operators.  Each has a new `id`, so that a repeat is recognized."""

    id: str
    at: datetime
    event_type: str
    priority: str
    payload: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Notify:
    host: HostName
    notice: Notice


STALE = (StaleWrite, Forbidden)
"""StaleWrite: the host's epoch or the attempt is no longer the current one; HostSuperseded is a StaleWrite: the host
has a newer process.  Forbidden: the request names another host than its subject."""

# Short, because the host repeats the call until it succeeds, and logs each wait.
REGISTER_HOST = Method(
    SUBJECT,
    "register_host",
    RegisterHost,
    Registered,
    "Register a host's process. StateError: host or node are recorded differently. HostTaken: it has a live process.",
    (*STALE, StateError, HostTaken),
    timeout_s=5,
    attempt_s=2.5,
)
HEARTBEAT = Method(
    HEARTBEATS,
    "alive",
    Heartbeat,
    Ack,
    "The host is alive. Every conductor receives it.",
    kind=Kind.CAST,
    timeout_s=5,
    since=2,
)
HEARTBEAT_CALL = Method(
    SUBJECT,
    "heartbeat",
    Heartbeat,
    Ack,
    "The host is alive: the heartbeat of code version 1, which one conductor receives.",
    STALE,
    timeout_s=8,
    attempt_s=4,
)
# A process that ends waits no longer than this for its conductor.
LEAVE = Method(
    SUBJECT, "leave", Leave, Ack, "The host's process ends in an orderly way.", STALE, timeout_s=1.5, attempt_s=0.7
)
CONTEST = Method(
    SUBJECT,
    "contest",
    Contest,
    Contested,
    "A process that has lost its host to a newer process lives. Two live processes of one identity lose it both.",
    STALE,
    timeout_s=3,
    attempt_s=1,
    since=2,
)
PING = Method(
    SUBJECT, "ping", Ping, Pong, "Whether the conductor answers, with its database.", STALE, timeout_s=2.5, attempt_s=1
)
# A repeat under the same attempt hands out the same work, so a lost reply costs one attempt's patience.
FETCH = Method(SUBJECT, "fetch", Fetch, Fetched, "Hand out the host's open actions.", STALE, timeout_s=12, attempt_s=3)
FINISH = Method(
    SUBJECT,
    "finish",
    Finish,
    Ended,
    "An attempt ended. Idempotent: a repeated report of the same attempt is accepted and ignored.",
    STALE,
)
CONFIRM_ATTEMPT = Method(
    SUBJECT,
    "confirm_attempt",
    ConfirmAttempt,
    Ack,
    "Whether an attempt is still the current one. NotFound: there is no such action.",
    (*STALE, NotFound),
)
RECORD_EVENTS = Method(
    SUBJECT, "record_events", RecordEvents, Ack, "Steps of an attempt in progress, for people to read.", STALE
)
REPORT_STATES = Method(
    SUBJECT,
    "report_states",
    ReportStates,
    StatesRecorded,
    "The power states of guests, as the hypervisor reports them. A report that is older than the record is ignored.",
    STALE,
)
LIST_EXPECTED = Method(
    SUBJECT,
    "list_expected",
    ListExpected,
    Expected,
    "The host's guests, as the database records them.",
    STALE,
)
CLASSIFY_GUESTS = Method(
    SUBJECT,
    "classify_guests",
    ClassifyGuests,
    GuestClasses,
    "Which of these guests should not be on this host.",
    STALE,
)
LIST_COPIES = Method(
    SUBJECT,
    "list_copies",
    ListCopies,
    Copies,
    "The guests that may still be on a host that was given up: none of them may run.",
    STALE,
    changes=False,
    since=2,
)
COPIES_REMOVED = Method(
    SUBJECT, "copies_removed", CopiesRemoved, Ack, "A host that was given up has removed these copies.", STALE, since=2
)
REPORT_INVENTORY = Method(SUBJECT, "report_inventory", ReportInventory, Ack, "What the host has and offers.", STALE)
SET_HOST_ENABLED = Method(
    SUBJECT, "set_host_enabled", SetHostEnabled, Ack, "Whether the host's hypervisor is in service.", STALE
)
NOTIFY = Method(SUBJECT, "notify", Notify, Ack, "Keep a notification of the host for operators.", STALE)
