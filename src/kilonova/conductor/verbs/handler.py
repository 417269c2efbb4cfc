# SPDX-License-Identifier: Apache-2.0
"""The parts of a verb that the engine calls.

An action has two events.  Each is one transaction, in which the handler has a part:

    accept   validate (handler.accept raises), prepare (handler.accept writes what belongs to the verb: claims,
             migrations, images), charge the quota, record the instance's columns and the action
    end      review the host's report (handler.review), record the end of the action, compute the columns that follow
             from the verb's Transition and from handler.target, let handler.ended release what belongs to the verb and
             change columns, charge the quota, record

A handler that raises in `accept` refuses the request: the transaction is rolled back, and nothing has happened.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from kilonova.config.quota import QuotaSettings
from kilonova.db.transaction import Transaction
from kilonova.objects.action import Action, Former
from kilonova.objects.action_params import NO_PARAMS, RecordedParams
from kilonova.objects.guest import ReadMark
from kilonova.objects.ids import ActionId
from kilonova.objects.instance import Fault, Instance
from kilonova.objects.leg import Legs, is_undone
from kilonova.objects.states import PowerState, VmState
from kilonova.rpcapi.api_to_conductor import AcceptAction

Columns = Mapping[str, Any]
"""Columns of an instance with their new values."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A request that the engine will record, with these legs.  `open_actions` are those of the instance: a verb that
    preempts supersedes them.  Without `quotas` no limit applies."""

    instance: Instance
    request: AcceptAction
    action_id: ActionId
    legs: Legs
    now: datetime
    open_actions: tuple[Action, ...] = ()
    quotas: QuotaSettings | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The part of the record that the handler decides: changed columns of the instance, the action's params, and what a
    cancel restores."""

    columns: Columns = field(default_factory=dict[str, Any])
    params: RecordedParams = NO_PARAMS
    former: Former | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a leg, or its action, ended.  `power` is the hypervisor's last report; None: the guest is provably absent.
    `of_host`: the reason of a failure lies in the host.  `read`: the read that `power` is from, when the host reported
    it."""

    succeeded: bool
    power: PowerState | None
    message: str | None
    of_host: bool = False
    read: ReadMark | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """An action that ends.  `instance` is its record before that."""

    action: Action
    instance: Instance
    outcome: Outcome
    now: datetime

    @property
    def succeeded(self) -> bool:
        return self.outcome.succeeded

    @property
    def cancelled(self) -> bool:
        """Whether it ends as it was cancelled: nothing of its work is left."""
        return self.action.is_cancelled and not self.succeeded and is_undone(self.action.legs)

    @property
    def power(self) -> PowerState:
        """The power state that the instance records."""
        return PowerState.NOSTATE if self.outcome.power is None else self.outcome.power

    @property
    def fault(self) -> Fault | None:
        """Why the action failed; None when it succeeded."""
        return None if self.succeeded else Fault(500, self.outcome.message or "unknown", self.now)


@dataclass(frozen=True, slots=True)
class Target:
    """The state of an instance after success.  `desired_power`: what the guest should be from then on; None: as
    before."""

    vm_state: VmState
    desired_power: PowerState | None


def _as_requested(_tx: Transaction, _acceptance: Acceptance) -> Accepted:
    return Accepted()


def _never(_instance: Instance) -> bool:
    return False


def _as_reported(_tx: Transaction, _action: Action, outcome: Outcome) -> Outcome:
    return outcome


def _as_declared(_instance: Instance, declared: Target) -> Target:
    return declared


def _no_more(_tx: Transaction, _ending: Ending) -> Columns:
    return {}


@dataclass(frozen=True, slots=True)
class VerbHandler:
    """The parts of a verb that its Transition (kilonova.objects.states) does not declare.  Each part has a default.

    `accept` raises to refuse the request.  `also_allowed`: instances that may have the verb in any state.  `review`:
    the outcome that follows from the report of a host.  `target`: the state after success, from the declared
    Transition.  `ended`: columns that replace the declared ones.
    """

    accept: Callable[[Transaction, Acceptance], Accepted] = _as_requested
    also_allowed: Callable[[Instance], bool] = _never
    review: Callable[[Transaction, Action, Outcome], Outcome] = _as_reported
    target: Callable[[Instance, Target], Target] = _as_declared
    ended: Callable[[Transaction, Ending], Columns] = _no_more
