# SPDX-License-Identifier: Apache-2.0
"""Every field of every body, with every kind of value that it should not have."""

import json
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.api.http.microversion import MAX, MIN, Microversion, v2
from tests.service.fuzz import Asked, Operation, Path, Watched, example, operations, paths, some, watched, with_value

DEEP = 5000
"""Deep enough for any recursion to end badly."""

HOSTILE = (
    "null", "true", "-1", "0", "1.5", "2147483648", "9223372036854775808", "1" * 400, "1e400", "NaN", "-Infinity",
    '""', '" "', '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00\\u202e"', '"%s%n"', '"../../x"', '"1"', '"\\u0663"',
    f'"{"x" * 256}"', f'"{"x" * 70_000}"',
    "[]", "{}", "[null]", '[""]', '{"": null}', '{"x": 1}', '["x","x"]', '{"x": "\\u0000"}',
    "[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP,
    "", "nul", '"', "01", "'x'",
)  # fmt: skip
"""JSON texts, and what is none."""

FOR_ANYTHING = ("NaN", '"\\u0000"', '"\\ud800"', "[" * DEEP + "]" * DEEP, "")
"""Enough where everything is taken: each that is taken is an action of its own."""

OLD = v2(52)


@pytest.fixture(scope="module")
def cloud() -> Generator[Watched]:
    with watched() as made:
        yield made


def with_bodies(version: Microversion) -> list[Operation]:
    """What takes a body of a form that is known."""
    return [one for one in operations(version) if one.body and one.media != "application/octet-stream"]


def ask(cloud: Watched, operation: Operation, body: bytes) -> str | None:
    """The sentence of a refusal that says which field; None for other answers."""
    media = ((b"content-type", operation.media.encode()),)
    answer = cloud.ask(Asked(operation.method, operation.to(cloud.ids), body, media))
    refused = answer.status == 400 and not answer.message.startswith("Malformed request body")
    return answer.message if refused else None


def named(path: Path, message: str) -> bool:
    """Whether a refusal says where: the place itself, or the place above it and the member's name."""
    *above, name = map(str, path)
    return ".".join((*above, name)) in message or (".".join(above) in message and f"'{name}'" in message)


def check(cloud: Watched, operation: Operation, path: Path, value: str) -> None:
    """One wrong value at one place: whoever refuses it names the place, or another of the same body."""
    message = ask(cloud, operation, with_value(operation, path, value, cloud.ids))
    if message is not None:
        places = [place for place, _ in paths(operation, operation.body or {})]
        assert named(path, message) or any(named(place, message) for place in places), (path, value[:99], message)


@pytest.mark.parametrize("operation", with_bodies(MAX), ids=lambda one: f"{one.method} {one.path}")
def test_every_field_with_every_kind_of_value(cloud: Watched, operation: Operation) -> None:
    cloud.version = MAX
    cloud.settle()
    for path, schema in paths(operation, operation.body or {}):
        for value in FOR_ANYTHING if not schema else HOSTILE:
            check(cloud, operation, path, value)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=8,
).map(json.dumps)

PLACES = [
    (version, operation, path)
    for version in (MIN, OLD, MAX)
    for operation in with_bodies(version)
    for path, schema in paths(operation, operation.body or {})
    if schema
]


@some(200)
@given(place=st.sampled_from(PLACES), value=ANYTHING | st.sampled_from(range(len(HOSTILE))).map(HOSTILE.__getitem__))
def test_any_value_anywhere(cloud: Watched, place: tuple[Microversion, Operation, Path], value: str) -> None:
    cloud.version, operation, path = place
    cloud.settle()
    check(cloud, operation, path, value)


def objects(value: Any, path: Path = ()) -> Generator[Path]:
    """Where an unknown member could be put."""
    if isinstance(value, dict):
        yield path
        for name, inner in value.items():
            yield from objects(inner, (*path, name))


@pytest.mark.parametrize("version", [MIN, OLD, MAX], ids=str)
def test_a_member_that_is_unknown_is_refused_by_its_name(cloud: Watched, version: Microversion) -> None:
    cloud.version = version
    cloud.settle()
    name = "un\u202eknown"
    for operation in with_bodies(version):
        if not operation.path.startswith("/compute") or operation.body is None:
            continue  # Identity ignores them, and an image may have any property
        body = example(operation, operation.body, cloud.ids)
        plain = cloud.ask(Asked(operation.method, operation.to(cloud.ids), json.dumps(body).encode()))
        # What is wrong without it may be said first; and an action is known by its one key.
        known = {"Malformed request body: there is more than one action."}
        if plain.status >= 400:
            known.add(plain.message)
        for path in objects(body):
            inner = changed = json.loads(json.dumps(body))
            for step in path:
                inner = inner[step]
            inner[name] = {"x": 1}
            answer = cloud.ask(Asked(operation.method, operation.to(cloud.ids), json.dumps(changed).encode()))
            assert answer.status == 400, (operation.path, changed)
            assert name in answer.message or answer.message in known, (operation.path, answer.message)


@pytest.mark.parametrize("operation", with_bodies(MAX), ids=lambda one: f"{one.method} {one.path}")
def test_bodies_that_are_broken_off_or_no_json(cloud: Watched, operation: Operation) -> None:
    cloud.version = MAX
    cloud.settle()
    assert operation.body is not None
    whole = json.dumps(example(operation, operation.body, cloud.ids)).encode()
    broken = [whole[:at] for at in range(len(whole))] if len(whole) > 2 else [b"", b"["]
    for text in ("\ufeff{}", "{}{}", "{,}", "/**/{}", "{'a': 1}", '"text"', "1", "null", "\x00"):
        broken.append(text.encode())
    broken += [whole.decode().encode("utf-16"), whole + b"\xff", b"\xff\xfe", b'{"\xc3": 1}', b'{"\xed\xa0\x80": 1}']
    for body in broken:
        media = ((b"content-type", operation.media.encode()),)
        answer = cloud.ask(Asked(operation.method, operation.to(cloud.ids), body, media))
        assert answer.status == 400, (body, answer)


@pytest.mark.parametrize("operation", with_bodies(MAX), ids=lambda one: f"{one.method} {one.path}")
def test_bodies_over_the_limit(cloud: Watched, operation: Operation) -> None:
    cloud.version = MAX
    cloud.settle()
    limit = cloud.api.cloud.box.settings.api.max_body_bytes
    media = (b"content-type", operation.media.encode())
    whole = b'{"a": "' + b"x" * limit + b'"}'
    for headers in ((media,), (media, (b"content-length", b"1")), (media, (b"content-length", b"9" * 40))):
        answer = cloud.ask(Asked(operation.method, operation.to(cloud.ids), whole, headers))
        assert answer.status == 413


def test_members_are_known_by_the_names_of_the_api_only(cloud: Watched) -> None:
    cloud.version = MAX
    cloud.settle()
    server = {"name": "x", "flavor": "1", "image": cloud.ids["image_id"], "networks": "none"}
    answer = cloud.ask(Asked("POST", b"/compute/v2.1/servers", json.dumps({"server": server}).encode()))
    assert (answer.status, "server.flavorRef" in answer.message or "'flavor'" in answer.message) == (400, True)


def test_the_second_of_two_members_of_one_name_counts(cloud: Watched) -> None:
    cloud.version = MAX
    cloud.settle()
    path = b"/compute/v2.1/servers/" + cloud.ids["server_id"].encode()
    assert cloud.ask(Asked("PUT", path, b'{"server": {"name": "a", "name": 1}}')).status == 400
    answer = cloud.ask(Asked("PUT", path, b'{"server": {"name": 1, "name": "b"}}'))
    assert (answer.status, json.loads(answer.body)["server"]["name"]) == (200, "b")
