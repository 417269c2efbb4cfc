# SPDX-License-Identifier: Apache-2.0
"""What a peer of another version says of many: what cannot be read is left out, and the rest is taken."""

import json
from dataclasses import asdict
from typing import Any

import pytest
from structlog.testing import capture_logs

from kilonova.objects.ids import ActionId
from kilonova.objects.leg import LegId
from kilonova.objects.states import PowerState
from kilonova.rpcapi import host_to_conductor as methods
from kilonova.rpcapi.host_to_conductor import Expected, Observed, ReportStates
from kilonova.rpcapi.work import Fetched
from tests import make
from tests.unit.conductor.desk import ONE

REPORT = ReportStates(make.HOST, 1, (Observed(ONE, PowerState.RUNNING), Observed(ONE, None, "x")))


def odd(payload: bytes, change: Any) -> bytes:
    found = json.loads(payload)
    change(found)
    return json.dumps(found).encode()


def test_a_state_that_cannot_be_read_leaves_the_other_states() -> None:
    form = methods.REPORT_STATES.request_form
    newer = odd(form.dump_json(REPORT), lambda one: one["states"][0].update(power="hot"))
    with capture_logs() as said:
        assert form.validate_json(newer) == ReportStates(make.HOST, 1, REPORT.states[1:])
    assert ["0.power" in line["error"] and "hot" not in line["error"] for line in said] == [True]
    assert form.validate_json(form.dump_json(REPORT)) == REPORT


def test_what_is_no_list_at_all_is_refused() -> None:
    form = methods.LIST_EXPECTED.reply_form
    assert form.validate_json(b'{"guests": []}') == Expected(())
    with pytest.raises(ValueError, match="guests"):
        form.validate_json(b'{"guests": 5}')


@pytest.mark.parametrize("item", [{}, None, 5, {"action": None}, {"action": {"id": 5}}])
def test_work_that_is_nothing_of_the_kind_is_named_as_far_as_it_can_be(item: Any) -> None:
    revoked = LegId(ActionId("a1"), 1)
    payload = json.dumps({"items": [item], "revoked": [asdict(revoked)], "more": True}).encode()
    fetched = methods.FETCH.reply_form.validate_json(payload)
    assert (fetched.items, fetched.revoked, fetched.more) == ((), (revoked,), True)
    assert [(one.leg, one.verb) for one in fetched.unread] == [(LegId(ActionId(""), 0), "")]


def test_work_that_can_be_read_comes_whole() -> None:
    assert methods.FETCH.reply_form.validate_json(methods.FETCH.reply_form.dump_json(Fetched((), ()))) == Fetched(
        (), ()
    )
