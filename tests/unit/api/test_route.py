# SPDX-License-Identifier: Apache-2.0
"""Finding rows, and what the whole table promises."""

import pytest

from kilonova.api.call import Call, Reply
from kilonova.api.compute.actions.table import ACTIONS
from kilonova.api.faults import HttpError
from kilonova.api.microversion import MAX, MIN, v2
from kilonova.api.openapi import document
from kilonova.api.route import Role, Router, Row
from kilonova.api.routes import SERVICES, routes_markdown
from kilonova.base.errors import NotFound


async def nothing(call: Call) -> Reply:
    return Reply()


def row(method: str, path: str, **more: object) -> Row:
    return Row(method, path, nothing, "rule", Role.READER, **more)  # pyright: ignore[reportArgumentType]


ROUTER = Router(
    (
        row("GET", ""),
        row("GET", "/things"),
        row("POST", "/things"),
        row("GET", "/things/detail", max=v2(9)),
        row("GET", "/things/{thing_id}"),
        row("PUT", "/things/{thing_id}", min=v2(10)),
        row("PUT", "/things/enable", max=v2(9)),
        row("GET", "/things/{thing_id}/parts/{part}"),
    )
)


@pytest.mark.parametrize(
    ("segments", "path", "params"),
    [
        ([], "", {}),
        (["things"], "/things", {}),
        (["things", "detail"], "/things/detail", {}),
        (["things", "a/b"], "/things/{thing_id}", {"thing_id": "a/b"}),
        (["things", "x", "parts", "y"], "/things/{thing_id}/parts/{part}", {"thing_id": "x", "part": "y"}),
    ],
)
def test_paths_lead_to_rows(segments: list[str], path: str, params: dict[str, str]) -> None:
    found, with_params = ROUTER.find("GET", segments, MIN)
    assert (found.path, with_params) == (path, params)


def test_microversions_choose_between_rows() -> None:
    assert ROUTER.find("PUT", ["things", "enable"], v2(9))[0].path == "/things/enable"
    assert ROUTER.find("PUT", ["things", "enable"], v2(10))[0].path == "/things/{thing_id}"
    assert ROUTER.find("GET", ["things", "detail"], v2(10))[1] == {"thing_id": "detail"}


@pytest.mark.parametrize(
    "segments", [["other"], ["things", ""], ["things", "a", "b"], ["", "things"], ["things", "a", "parts"]]
)
def test_other_paths_lead_nowhere(segments: list[str]) -> None:
    with pytest.raises(NotFound):
        ROUTER.find("GET", segments, MIN)


def test_a_wrong_method_names_the_right_ones() -> None:
    with pytest.raises(HttpError) as caught:
        ROUTER.find("DELETE", ["things"], MIN)
    assert caught.value.status == 405
    assert caught.value.headers == (("Allow", "GET, POST"),)


def test_no_two_rows_of_the_table_serve_the_same_request() -> None:
    for service in SERVICES:
        rows = service.rows
        for at, one in enumerate(rows):
            for other in rows[at + 1 :]:
                if (one.method, one.path) == (other.method, other.path):
                    assert one.max < other.min or other.max < one.min, one


WRITTEN_BY_ANY = {"os_compute_api:servers:action", "identity:revoke_token"}
"""An action has a row of its own; a token is its user's to give up."""


def test_writing_needs_more_than_a_reader() -> None:
    for service in SERVICES:
        for one in service.rows:
            if one.method == "GET" or one.rule == "identity:authenticate":
                continue
            allowed = {
                Role.MEMBER,
                Role.ADMIN,
                Role.IDENTITY_ADMIN,
                *((Role.OWNER,) if "{user_id}" in one.path else ()),
            }
            assert one.role in allowed or (one.rule in WRITTEN_BY_ANY and one.role is Role.TOKEN), one
    assert {one.role for rows in ACTIONS.values() for one in rows} <= {Role.MEMBER, Role.ADMIN}


def test_every_row_is_documented() -> None:
    text, paths = routes_markdown(), document(SERVICES)["paths"]
    for service in SERVICES:
        for one in service.rows:
            assert f"`{one.path or '/'}`" in text
            assert one.method.lower() in paths[f"{service.prefix}{one.path}" or "/"]
            assert one.handler.__doc__ or one.rule == "versions", one
    for name in ACTIONS:
        assert f"`{name}`" in text
    assert f"{MIN} to {MAX}" in text


def test_the_openapi_document_refers_to_nothing_that_is_not_there() -> None:
    whole = document(SERVICES)
    text, schemas = str(whole), whole["components"]["schemas"]
    assert "CreateServer" in schemas
    for word in text.split("#/components/schemas/")[1:]:
        assert word.partition("'")[0] in schemas
