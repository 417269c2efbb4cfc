# SPDX-License-Identifier: Apache-2.0
"""Finding routes, and what the whole table promises."""

import pytest
import schemathesis
from jsonschema_rs import ValidationError

from kilonova.api.compute.servers.actions.table import ACTIONS
from kilonova.api.http.call import JSON, Call, Reply
from kilonova.api.http.faults import HttpError
from kilonova.api.http.microversion import MAX, MIN, Microversion, v2
from kilonova.api.http.openapi import document
from kilonova.api.http.reference import markdown
from kilonova.api.http.route import DefaultPolicy, Route, Router
from kilonova.api.routes import SERVICES
from kilonova.base.errors import NotFound


async def nothing(call: Call) -> Reply:
    return Reply()


def route(method: str, path: str, **more: object) -> Route:
    return Route(method, path, nothing, "rule", DefaultPolicy.READER, **more)  # pyright: ignore[reportArgumentType]


ROUTER = Router(
    (
        route("GET", ""),
        route("GET", "/things"),
        route("POST", "/things"),
        route("GET", "/things/detail", max=v2(9)),
        route("GET", "/things/{thing_id}"),
        route("PUT", "/things/{thing_id}", min=v2(10)),
        route("PUT", "/things/enable", max=v2(9)),
        route("GET", "/things/{thing_id}/parts/{part}"),
        route("GET", "/files/{path*}"),
        route("GET", "/files/index"),
    )
)


@pytest.mark.parametrize(
    ("segments", "path", "params"),
    [
        ([], "", {}),
        (["things"], "/things", {}),
        (["things", "detail"], "/things/detail", {}),
        (["things", "a/b"], "/things/{thing_id}", {"thing_id": "a/b"}),
        (["files", "index"], "/files/index", {}),
        (["files", ""], "/files/{path*}", {"path": ""}),
        (["files", "index", "", "a/b", ".."], "/files/{path*}", {"path": "index//a/b/.."}),
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


def test_no_two_methods_of_the_table_serve_the_same_request() -> None:
    for service in SERVICES:
        routes = service.routes
        for at, one in enumerate(routes):
            for other in routes[at + 1 :]:
                if (one.method, one.path) == (other.method, other.path):
                    assert one.max < other.min or other.max < one.min, one


WRITTEN_BY_ANY = {"identity:revoke_token", *(f"identity:{word}_credential" for word in ("create", "update", "delete"))}
"""A token is its user's to give up; and nobody makes a generic credential."""


def test_writing_needs_more_than_a_reader() -> None:
    for service in SERVICES:
        for one in service.routes:
            if one.method == "GET" or one.rule in ("identity:authenticate", "write_image_store"):
                continue  # (the body, or the signature in the URL, is the permission)
            allowed = {
                DefaultPolicy.MEMBER,
                DefaultPolicy.ADMIN,
                DefaultPolicy.IDENTITY_ADMIN,
                *((DefaultPolicy.OWNER,) if "{user_id}" in one.path else ()),
            }
            assert one.default in allowed or (
                (one.actions or one.rule in WRITTEN_BY_ANY) and one.default is DefaultPolicy.TOKEN
            ), one
            assert {action.default for actions in one.actions.values() for action in actions} <= {
                DefaultPolicy.MEMBER,
                DefaultPolicy.ADMIN,
            }


def test_every_row_and_every_action_is_documented() -> None:
    text = markdown(SERVICES)
    for service in SERVICES:
        for one in service.routes:
            assert f"| {one.method} | `{one.path or '/'}` | {one.default.name.lower()} | {one.success}" in text
            assert one.handler.__doc__ or one.rule == "versions", one
            for name, actions in one.actions.items():
                for action in actions:
                    assert f"| `{name}` | {action.default.name.lower()} | {action.success} |" in text
    assert f"{MIN} to {MAX}" in text


def test_fields_are_documented_with_their_limits() -> None:
    text = markdown(SERVICES)
    assert "| `server.name` | text, 1 to 255 characters" in text
    assert (
        "| `server.block_device_mapping_v2[].tag` | text, 1 to 60 characters, `^[^,/]*$` or null | since 2.32 |" in text
    )
    assert "`reboot.type`: `SOFT`, `HARD`" in text
    assert "`lock.locked_reason`: text, 1 to 255 characters, required" in text


@pytest.mark.parametrize("version", [MIN, v2(26), v2(52), MAX])
def test_the_openapi_document_has_what_its_microversion_has(version: Microversion) -> None:
    whole = document(SERVICES, version)
    for service in SERVICES:
        for one in service.routes:
            operation = whole["paths"].get(f"{service.prefix}{one.path}" or "/", {}).get(one.method.lower())
            if not service.microversions or one.min <= version <= one.max:
                assert operation["x-policy"] == one.rule
                assert ("requestBody" in operation) == (one.body is not None or one.whole or one.accepts != JSON)
                assert {str(one.success), "default"} <= operation["responses"].keys() or one.actions
    acted = whole["paths"]["/compute/v2.1/servers/{server_id}/action"]["post"]
    names = {name for name, routes in ACTIONS.items() if any(one.min <= version <= one.max for one in routes)}
    assert acted["x-actions"].keys() == names
    assert len(acted["requestBody"]["content"][JSON]["schema"]["oneOf"]) == len(names)
    assert ("tags" in whole["components"]["schemas"]["NewServer"]["properties"]) == (version >= v2(52))
    assert ("type" in whole["components"]["schemas"]["NewKeypair"]["properties"]) == (version >= v2(2))


@pytest.mark.parametrize("version", [MIN, v2(52), MAX])
def test_the_openapi_document_is_a_valid_one(version: Microversion) -> None:
    schema = schemathesis.openapi.from_dict(document(SERVICES, version))
    schema.validate()
    assert all(operation.ok() for operation in schema.get_all_operations())


def test_an_openapi_document_that_is_none_is_found_out() -> None:
    broken = document(SERVICES)
    broken["paths"]["/healthz"]["get"]["parameters"] = [{"name": "where"}]
    with pytest.raises(ValidationError):
        schemathesis.openapi.from_dict(broken).validate()


def test_the_openapi_document_refers_to_nothing_that_is_not_there() -> None:
    whole = document(SERVICES)
    text, components = str(whole), whole["components"]
    assert "CreateServer" in components["schemas"]
    for kind in ("schemas", "responses"):
        for word in text.split(f"#/components/{kind}/")[1:]:
            assert word.partition("'")[0] in components[kind]
