# SPDX-License-Identifier: Apache-2.0
"""Errors as HTTP answers."""

import json

import pytest

from kilonova.api.http.faults import HttpError, answer, fault, not_implemented
from kilonova.base import errors
from kilonova.base.errors import CATALOGUE, KilonovaError


@pytest.mark.parametrize(
    ("error", "status", "key"),
    [
        (errors.InvalidInput, 400, "badRequest"),
        (errors.ImageUnacceptable, 400, "badRequest"),
        (errors.Forbidden, 403, "forbidden"),
        (errors.NotFound, 404, "itemNotFound"),
        (errors.NotAcceptable, 406, "computeFault"),
        (errors.Conflict, 409, "conflictingRequest"),
        (errors.InvalidState, 409, "conflictingRequest"),
        (errors.TooLarge, 413, "overLimit"),
        (errors.HypervisorUnavailable, 503, "serviceUnavailable"),
        (errors.OutcomeUnknown, 503, "serviceUnavailable"),
        (errors.NativeCallTimeout, 503, "serviceUnavailable"),
        (errors.RpcTimeout, 503, "serviceUnavailable"),
        (errors.RpcUnavailable, 503, "serviceUnavailable"),
        (errors.DatabaseUnavailable, 503, "serviceUnavailable"),
        (errors.DatabaseLocked, 503, "serviceUnavailable"),
        (errors.StorageFull, 503, "serviceUnavailable"),
    ],
)
def test_each_error_has_its_fault(error: type[KilonovaError], status: int, key: str) -> None:
    found, message, headers = answer(error("Because."), "req-1")
    assert (found, message) == (status, "Because.")
    assert json.loads(fault(status, message)) == {key: {"code": status, "message": "Because."}}
    assert dict(headers).keys() == ({"Retry-After"} if status == 503 else set())


def test_an_unknown_outcome_names_its_request_and_invites_no_repeat_that_would_do_it_twice() -> None:
    exc = errors.RequestOutcomeUnknown("No reply.")
    assert answer(exc, "req-7", repeatable=False)[::2] == (504, ())
    status, message, headers = answer(exc, "req-7", repeatable=True)
    assert (status, dict(headers).keys()) == (504, {"Retry-After"})
    assert "req-7" in message
    assert "No reply." in message


def test_unauthorized_has_a_form_of_its_own() -> None:
    assert json.loads(fault(401, "No.")) == {"error": {"code": 401, "title": "Unauthorized", "message": "No."}}
    assert json.loads(fault(404, "No.", identity=True))["error"]["title"] == "Not Found"


def test_what_only_http_knows() -> None:
    assert answer(HttpError(405, "No.", (("Allow", "GET"),)), "req-1") == (405, "No.", (("Allow", "GET"),))
    status, message, _ = answer(not_implemented("Not here."), "req-1")
    assert json.loads(fault(status, message)) == {"notImplemented": {"code": 501, "message": "Not here."}}


@pytest.mark.parametrize("exc", [ValueError("a secret"), KilonovaError("a secret"), errors.StateError("a secret")])
def test_the_unforeseen_is_told_by_its_request_id_only(exc: Exception) -> None:
    status, message, _ = answer(exc, "req-42")
    assert status == 500
    assert "req-42" in message
    assert "secret" not in message


def test_every_error_of_the_catalogue_is_answered() -> None:
    for error in CATALOGUE.values():
        assert 400 <= answer(error("x"), "req-1")[0] < 600


def test_a_refusal_names_its_field_once() -> None:
    said = answer(errors.InvalidInput("It is too long.", path="server.name"), "req-1")[1]
    assert said == "Invalid input for field/attribute server.name. It is too long."
    named = "Invalid input for field/attribute server.name. It is too long."
    assert answer(errors.InvalidInput(named, path="server.name"), "req-1")[1] == named
    assert answer(errors.InvalidInput("No."), "req-1")[1] == "No."
