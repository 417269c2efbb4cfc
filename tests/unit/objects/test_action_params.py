# SPDX-License-Identifier: Apache-2.0
"""Params of actions: each verb reads its own, and nothing else."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from kilonova.objects.action import Action
from kilonova.objects.action_params import RECORDED, REQUESTED, LockParams, RebootParams
from kilonova.objects.ids import InstanceId
from kilonova.objects.instance import Instance
from kilonova.objects.states import VERBS, Verb
from kilonova.rpc import wire
from kilonova.rpcapi.api_to_conductor import ACCEPT_ACTION, AcceptAction
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.work import Fetched
from tests import make, params

REQUESTS = TypeAdapter(AcceptAction)
ACTIONS = TypeAdapter(Action)
ONE = InstanceId("one")


def request(verb: Verb, **fields: Any) -> AcceptAction:
    return AcceptAction(make.context(), ONE, verb, params.requested(verb, **fields))


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb is not Verb.CREATE])
def test_requests_and_actions_of_every_verb_are_read_as_they_were_written(verb: Verb) -> None:
    asked = request(verb)
    assert REQUESTS.validate_json(REQUESTS.dump_json(asked)) == asked
    action = params.action(verb)
    assert ACTIONS.validate_json(ACTIONS.dump_json(action)) == action


@pytest.mark.parametrize("verb", sorted({*REQUESTED, *RECORDED} - {Verb.CREATE, Verb.POWER_UPDATE}))
def test_a_parameter_that_is_unknown_or_missing_is_an_error_that_names_the_verb(verb: Verb) -> None:
    form = json.loads(REQUESTS.dump_json(request(verb)))
    strange = {**form, "params": {**form["params"], "colour": "a secret"}}
    bare = {**form, "params": {}}
    for body in (strange, bare if REQUESTED.get(verb) not in (None, LockParams) and form["params"] else strange):
        if body is bare and verb in (Verb.UNSHELVE, Verb.EVACUATE):
            continue  # (it may have none)
        with pytest.raises(ValidationError, match=f"{verb}: ") as refused:
            REQUESTS.validate_python(body)
        assert "a secret" not in str(refused.value.errors(include_input=False))


def test_params_of_another_verb_are_refused() -> None:
    with pytest.raises(ValueError, match="lock has LockParams, not RebootParams"):
        AcceptAction(make.context(), ONE, Verb.LOCK, RebootParams("SOFT"))
    with pytest.raises(ValidationError, match="reboot has RebootParams, not NoParams"):
        REQUESTS.validate_python({"context": make.context(), "instance_id": ONE, "verb": "reboot"})


def test_params_that_a_host_cannot_read_fail_their_own_action_only() -> None:
    items = [
        {"action": json.loads(ACTIONS.dump_json(params.action(verb))), "instance": instance()}
        for verb in (Verb.REBOOT, Verb.STOP)
    ]
    items[0]["action"]["params"] = {"type": "HARD", "colour": "a secret"}
    fetched = TypeAdapter(Fetched).validate_python({"items": items, "revoked": []})
    assert [item.action.verb for item in fetched.items] == [Verb.STOP]
    (unread,) = fetched.unread
    assert unread.verb == "reboot"
    assert "reboot: colour" in unread.reason
    assert "a secret" not in unread.reason


def instance() -> Any:
    return json.loads(TypeAdapter(Instance).dump_json(make.instance()))


def test_the_callers_error_says_what_is_wrong() -> None:
    async def main() -> bytes:
        endpoint = Endpoint()
        endpoint.on(ACCEPT_ACTION, never)
        body = json.loads(REQUESTS.dump_json(request(Verb.REBOOT)))
        body["params"] = {"typ": "HARD"}
        sent = wire.Request("accept_action", 1, 5.0, json.dumps(body).encode())
        return await endpoint.handle("conductor.api", wire.encode_request(sent))

    async def never(_request: AcceptAction, _peer: str) -> Any:
        raise AssertionError("it was read")

    assert b"reboot: type: Field required" in make.run(main())
