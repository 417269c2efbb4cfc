# SPDX-License-Identifier: Apache-2.0
"""Schemathesis reads the OpenAPI document and makes requests of it: those that fit, and those that do not."""

import contextlib
import zlib
from collections.abc import Generator, Mapping
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from kilonova.api.http.microversion import MAX, MIN, Microversion, v2
from kilonova.api.http.openapi import document
from kilonova.api.image.images import PATCH_TYPE
from kilonova.api.routes import SERVICES
from tests.service.fuzz import FACTOR, Asked, Watched, some, watched

VERSIONS = (MAX,) if FACTOR == 1 else (MIN, v2(52), MAX)
"""Making the requests costs more than answering them: the older ones are for a long run."""

MODES = {"fit": GenerationMode.POSITIVE, "misfit": GenerationMode.NEGATIVE}

schemathesis.serializer.alias(PATCH_TYPE, "application/json")

NOT_OF_THE_CASE = frozenset({"x-auth-token", "host", "content-length", "cookie", "connection"})


@pytest.fixture(scope="module")
def cloud() -> Generator[Watched]:
    with watched() as made:
        yield made


def asked(case: Any, cloud: Watched) -> Asked:
    """A case on the wire; half of them with the ids of things that are there."""
    given = case.path_parameters or {}
    if given and zlib.crc32(repr((case.body, case.query)).encode()) % 2:
        known = {"key": "key", **cloud.ids}
        case.path_parameters = {name: known.get(name, value) for name, value in given.items()}
    if given.get("flavor_id") == "1":
        case.path_parameters = {**given, "flavor_id": "2"}  # servers are made of the first one
    ready = requests.Request(**case.as_transport_kwargs(base_url="http://box")).prepare()
    headers = tuple(
        (name.lower().encode("utf-8", "replace"), value if isinstance(value, bytes) else value.encode("utf-8"))
        for name, value in ready.headers.items()
        if name.lower() not in NOT_OF_THE_CASE
    )
    body = ready.body or b""
    return Asked(case.method, ready.path_url.encode(), body if isinstance(body, bytes) else body.encode(), headers)


def fuzz(cloud: Watched, cases: st.SearchStrategy[Any], examples: int, responses: Mapping[str, Any]) -> int:
    """How many requests were made of an operation."""
    made = 0

    @some(examples)
    @given(case=cases)
    def one(case: Any) -> None:
        nonlocal made
        made += 1
        request = asked(case, cloud)
        answer = cloud.ask(request)
        assert answer.status >= 400 or str(answer.status) in responses, f"undocumented: {request} {answer.status}"

    with contextlib.suppress(Unsatisfiable):  # nothing can be wrong with what has no arguments
        one()
    return made


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_requests_made_of_the_document(cloud: Watched, version: Microversion, mode: str) -> None:
    cloud.version = version
    whole = document(SERVICES, version)
    made: dict[str, int] = {}
    for result in schemathesis.openapi.from_dict(whole).get_all_operations():
        operation = result.ok()
        responses = whole["paths"][operation.path][operation.method]["responses"]
        cases = operation.as_strategy(generation_mode=MODES[mode])
        made[operation.label] = fuzz(cloud, cases, 2, responses)
    assert sum(map(bool, made.values())) > 70, made
