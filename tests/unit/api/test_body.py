# SPDX-License-Identifier: Apache-2.0
"""Bodies: limits, strictness, and refusals that name the field."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from kilonova.api.compute.servers.models import CreateServer
from kilonova.api.http.body import json_object, read_limited, refuse_nul, validated, validated_value
from kilonova.api.http.microversion import MAX, Microversion, v2
from kilonova.api.routes import SERVICES
from kilonova.base.errors import InvalidInput, TooLarge
from tests.make import run

SERVER: dict[str, Any] = {"name": "web", "imageRef": "i", "flavorRef": "1", "networks": "auto"}


def create(version: Microversion = MAX, beside: dict[str, Any] | None = None, **changes: Any) -> CreateServer:
    body = {"server": {**SERVER, **changes}, **(beside or {})}
    return validated(CreateServer, json.dumps(body).encode(), version)


def refusal(version: Microversion = MAX, **changes: Any) -> str:
    with pytest.raises(InvalidInput) as caught:
        create(version, **changes)
    return caught.value.message


def test_every_model_of_the_table_can_be_built() -> None:
    models: list[type[BaseModel]] = [
        route.body for service in SERVICES for route in service.routes if route.body is not None
    ]
    models += [
        one.body for service in SERVICES for route in service.routes for ones in route.actions.values() for one in ones
    ]
    for model in models:
        with pytest.raises(InvalidInput):
            validated(model, b"[]")


def test_what_clients_send_is_taken() -> None:
    server = create(
        min_count="2",
        max_count=3,
        flavorRef=42,
        config_drive="True",
        metadata={"a key: 1.0_-": "ä"},
        tags=["t"],
        description="",
        block_device_mapping_v2=[{"uuid": "i", "boot_index": "0", "source_type": "image", "destination_type": "local"}],
        beside={"os:scheduler_hints": {"custom": "x"}},
    ).server
    assert (server.min_count, server.max_count, server.flavor, server.config_drive) == (2, 3, "42", True)
    assert server.block_devices[0].boot_index == 0
    assert create(config_drive="").server.config_drive is False


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"name": ""}, "server.name", "at least 1 character"),
        ({"name": "x" * 256}, "server.name", "at most 255"),
        ({"name": " web"}, "server.name", "blanks"),
        ({"name": "web\x00"}, "server.name", "cannot be printed"),
        ({"name": 5}, "server.name", "string"),
        ({"min_count": 0}, "server.min_count", "greater than"),
        ({"min_count": True}, "server.min_count", "not an integer"),
        ({"max_count": "many"}, "server.max_count", "not an integer"),
        ({"metadata": {"k": 1}}, "server.metadata.k", "string"),
        ({"metadata": {"k/": "v"}}, "server.metadata", "characters other than"),
        ({"metadata": {"": "v"}}, "server.metadata", "characters other than"),
        ({"metadata": {"k": "v" * 256}}, "server.metadata", "255"),
        ({"config_drive": "perhaps"}, "server.config_drive", "boolean"),
        ({"user_data": "x" * 65536}, "server.user_data", "65535"),
        ({"tags": ["a,b"]}, "server.tags.0", "pattern"),
        ({"tags": ["t"] * 51}, "server.tags", "50"),
        ({"colour": []}, "server.colour", "'colour' was unexpected"),
        ({"hostname": "h"}, "server.hostname", "at least 2 characters"),
        ({"accessIPv4": "::1"}, "server.accessIPv4", "not an IPv4 address"),
        ({"OS-DCF:diskConfig": "BOTH"}, "server.OS-DCF:diskConfig", "'AUTO' or 'MANUAL'"),
        ({"trusted_image_certificates": ["a"]}, "server.trusted_image_certificates", "null"),
        ({"flavorRef": None}, "server.flavorRef", "neither"),
        ({"block_device_mapping_v2": [{"nonsense": 1}]}, "server.block_device_mapping_v2.0.nonsense", "unexpected"),
    ],
)
def test_a_refusal_names_the_field(changes: dict[str, Any], path: str, words: str) -> None:
    message = refusal(**changes)
    assert message.startswith(f"Invalid input for field/attribute {path}. ")
    assert words in message


def test_a_missing_member_and_one_too_many_beside() -> None:
    with pytest.raises(InvalidInput, match="'name' is a required property"):
        validated(CreateServer, b'{"server": {"imageRef": "i", "flavorRef": "1"}}')
    with pytest.raises(InvalidInput, match="'more' was unexpected"):
        create(beside={"more": 1})


@pytest.mark.parametrize(("member", "value", "since"), [("description", "d", 19), ("tags", ["t"], 52)])
def test_members_come_with_their_microversion(member: str, value: Any, since: int) -> None:
    assert f"'{member}' was unexpected" in refusal(v2(since - 1), **{member: value})
    create(v2(since), **{member: value})


def test_secrets_are_not_repeated() -> None:
    assert "hunter2" not in refusal(adminPass=["hunter2"])


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b"null", b"[]", b'"x"', b"{}", b'{"server": null}', b"[" * 10_000]
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        validated(CreateServer, data)
    if data != b"{}" and not data.startswith(b'{"'):
        with pytest.raises(InvalidInput):
            json_object(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from([*SERVER, "metadata", "tags", "min_count", "config_drive", "user_data"]), _JSON))
def test_whatever_comes_is_taken_or_refused(members: dict[str, Any]) -> None:
    with contextlib.suppress(InvalidInput):
        validated_value(CreateServer, {"server": {**SERVER, **members}}, MAX)


def test_limits_hold_before_the_rest_is_read() -> None:
    taken: list[bytes] = []

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            taken.append(b"x" * 10)
            yield taken[-1]

    async def main() -> None:
        assert await read_limited(chunks(), {}, 1000) == b"x" * 1000
        taken.clear()
        with pytest.raises(TooLarge):
            await read_limited(chunks(), {}, 25)
        assert len(taken) == 3
        taken.clear()
        with pytest.raises(TooLarge):
            await read_limited(chunks(), {"content-length": "26"}, 25)
        assert taken == []

    run(main())


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"server": {"name": "a\\u0000"}}', "server.name"),
        ('{"server": {"tags": ["a", "\\u0000"]}}', "server.tags.1"),
        ('{"server": {"metadata": {"a\\u0000": "b"}}}', "server.metadata"),
        ('[{"path": "/x", "value": "\\u0000"}]', "0.value"),
    ],
)
def test_the_character_zero_is_refused_with_its_place(text: str, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        refuse_nul(text.encode())
    assert f"field/attribute {path}. " in caught.value.message


@pytest.mark.parametrize("text", ['{"name": "\\\\u0000"}', '{"name": "\\u0000', '{"name": "zero"}'])
def test_other_texts_and_what_is_no_json_are_left_to_the_validation(text: str) -> None:
    refuse_nul(text.encode())
