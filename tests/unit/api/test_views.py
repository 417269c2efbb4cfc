# SPDX-License-Identifier: Apache-2.0
"""Views: which members an answer has, and that its schema says the same."""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from kilonova.api.http.call import JSON, Page
from kilonova.api.http.microversion import MAX, MIN, Microversion, v2
from kilonova.api.http.openapi import document
from kilonova.api.http.reply_reference import answer_words
from kilonova.api.http.reply_schemas import ReplySchemas
from kilonova.api.http.views import OMIT, ListOf, MapOf, Member, OrNull, Others, Shown, View, many, one, paged
from kilonova.api.routes import SERVICES
from tests.service.answers import check_body


@dataclass(frozen=True)
class Caller:
    version: Microversion = MAX
    is_admin: bool = False


Thing = dict[str, Any]

PART = View[str, Caller]("Part", Member("name", str, lambda part, _: part))
THING = View[Thing, Caller](
    "Thing",
    Member("id", str, lambda thing, _: thing["id"]),
    Member("swap", str, lambda thing, _: str(thing["swap"]), until=v2(74)),
    Member("swap", int, lambda thing, _: thing["swap"], since=v2(75)),
    Member("host", str, lambda thing, _: thing["host"], admin=True),
    Member("fault", str, lambda thing, _: thing.get("fault", OMIT), optional=True),
    Member("parts", ListOf(PART), lambda thing, _: thing["parts"], since=v2(9)),
    Member("host", str, lambda thing, _: thing["host"], since=v2(90)),
)
GIVEN: Thing = {"id": "1", "swap": 0, "host": "h", "parts": ["a"]}


@pytest.mark.parametrize(
    ("caller", "shown"),
    [
        (Caller(MIN), {"id": "1", "swap": "0"}),
        (Caller(v2(9)), {"id": "1", "swap": "0", "parts": [{"name": "a"}]}),
        (Caller(v2(9), is_admin=True), {"id": "1", "swap": "0", "host": "h", "parts": [{"name": "a"}]}),
        (Caller(v2(75)), {"id": "1", "swap": 0, "parts": [{"name": "a"}]}),
        (Caller(v2(90)), {"id": "1", "swap": 0, "parts": [{"name": "a"}], "host": "h"}),
        (Caller(v2(90), is_admin=True), {"id": "1", "swap": 0, "host": "h", "parts": [{"name": "a"}]}),
    ],
)
def test_a_view_has_the_members_of_its_version_and_caller_in_their_order(caller: Caller, shown: Thing) -> None:
    assert list(THING.show(GIVEN, caller).items()) == list(shown.items())


def test_an_optional_member_may_be_absent() -> None:
    assert "fault" not in THING.show(GIVEN, Caller())
    assert THING.show({**GIVEN, "fault": "f"}, Caller())["fault"] == "f"


def test_the_schema_of_a_version_has_its_members() -> None:
    replies = ReplySchemas(v2(90))
    assert replies.of(one("thing", THING))["properties"] == {"thing": {"$ref": "#/components/schemas/Thing"}}
    schema = replies.schemas["Thing"]
    assert list(schema["properties"]) == ["id", "swap", "host", "fault", "parts"]
    assert schema["required"] == ["id", "swap", "parts", "host"]
    assert schema["additionalProperties"] is False
    replies = ReplySchemas(MIN)
    replies.of(THING)
    assert replies.schemas["Thing"]["required"] == ["id", "swap"]


def test_shapes_are_made_of_views() -> None:
    caller = Caller()
    assert many("parts", PART).show(["a"], caller) == {"parts": [{"name": "a"}]}
    pages = paged("parts", PART)
    assert pages.show(Page(["a"]), caller) == {"parts": [{"name": "a"}]}
    after = {"rel": "next", "href": "h"}
    assert pages.show(Page(["a"], [after]), caller)["parts_links"] == [after]  # pyright: ignore[reportArgumentType]
    shapes = View[Thing, Caller](
        "Shapes",
        Member("map", MapOf(PART), lambda thing, _: thing["map"]),
        Member("null", OrNull(PART), lambda thing, _: thing["null"]),
        Member("shown", Shown(PART), lambda thing, _: thing["shown"]),
        others=Others(ListOf(PART), lambda thing, _: thing["others"]),
    )
    given = {"map": {"x": "a"}, "null": None, "shown": {"name": "b"}, "others": {"y": ["c"], "null": []}}
    assert shapes.show(given, caller) == {
        "y": [{"name": "c"}],
        "null": None,
        "map": {"x": {"name": "a"}},
        "shown": {"name": "b"},
    }
    assert answer_words(one("shapes", shapes)) == "{shapes: [Shapes](#shapes)}"


def test_an_answer_that_does_not_fit_its_view_is_found_out() -> None:
    view = one("thing", THING)
    check_body("GET /thing", b'{"thing": {"id": "1", "swap": "0"}}', view, MIN)
    for body in (
        b'{"thing": {"id": "1"}}',
        b'{"thing": {"id": "1", "swap": "0", "more": 1}}',
        b'{"thing": {"id": 1, "swap": "0"}}',
        b"{}",
        b"",
    ):
        with pytest.raises(AssertionError, match="GET /thing"):
            check_body("GET /thing", body, view, MIN)
    check_body("GET /thing", b"", None, MIN)
    with pytest.raises(AssertionError, match="does not declare"):
        check_body("GET /thing", b"{}", None, MIN)


def test_two_views_of_one_name_are_refused() -> None:
    replies = ReplySchemas(MAX)
    replies.of(PART)
    with pytest.raises(ValueError, match="two views are called Part"):
        replies.of(View[str, Caller]("Part", Member("other", str, lambda part, _: part)))


@pytest.mark.parametrize("version", [MIN, v2(52), MAX])
def test_every_answer_in_the_document_says_its_members(version: Microversion) -> None:
    """No schema of an answer is an object of anything."""
    whole = document(SERVICES, version)
    for path, operations in whole["paths"].items():
        for method, operation in operations.items():
            for code, response in operation["responses"].items():
                for media, content in response.get("content", {}).items():
                    if media == JSON and code != "default":
                        assert content["schema"] != {"type": "object"}, (method, path)


WITHOUT_BODY = frozenset(
    {
        "PUT /identity/v3/projects/{project_id}/tags/{tag}",
        "PUT /compute/v2.1/servers/{server_id}/tags/{tag}",
        "DELETE /compute/v2.1/flavors/{flavor_id}",
        "DELETE /compute/v2.1/flavors/{flavor_id}/os-extra_specs/{key}",
        "DELETE /compute/v2.1/os-aggregates/{aggregate_id}",
        "POST /compute/v2.1/os-aggregates/{aggregate_id}/images",
        "DELETE /compute/v2.1/os-quota-sets/{project_id}",
    }
)
"""Besides those that answer 204, and those that always refuse and say so in their note."""


def test_every_route_whose_success_has_a_body_declares_it() -> None:
    missing = {
        f"{route.method} {service.prefix}{route.path}"
        for service in SERVICES
        for route in service.routes
        if route.reply is None and not route.actions and route.gives == JSON and route.success != 204
        if not re.match("(always )?(403|404|501)", route.note)
    }
    assert missing == WITHOUT_BODY
    declared = sum(route.reply is not None for service in SERVICES for route in service.routes)
    assert declared > 190
