# SPDX-License-Identifier: Apache-2.0
"""Everything of a request but its body: paths, queries, headers, methods, with what should not be there."""

import json
from collections.abc import Generator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kilonova.api.http.microversion import MAX, MIN, Microversion, v2
from tests.service.fuzz import Asked, Operation, Watched, operations, some, watched

HOSTILE = (
    b"", b"%", b"%zz", b"%00", b"%ff", b"%ed%a0%80", b"\xff\xfe", b"%0d%0aX:%20y", b"%25", b"%2f..%2f..", b"+",
    b"x" * 5000, b"-1", b"0", b"1.5", b"1e3", b"2147483648", b"99999999999999999999", b"%d9%a3", b"NaN", b"true",
    b"null", b"None", b"0001-01-01T00:00:00%2B23:59", b"9999-12-31T23:59:59-23:59", b"2026-02-30T00:00:00Z",
    b"2026-W01", b"T", b"gte:T", b"((((", b"[", b"*", b"(a%2B)%2B%24", b"\\", b"%25%25", b"'%20OR%201=1--", b"in:",
    b"in:,,", b"a" * 60 + b"!", b"00000000-0000-4000-8000-000000000000", b"name:sideways", b",,,", b"asc,desc",
    b"%F0%9F%98%80",
)  # fmt: skip
"""As they stand after a "=" on the wire."""

SEGMENTS = (
    b"%", b"%00", b"%ff", b"%ed%a0%80", b"\xff", b"%2f", b"..", b".", b"%2e%2e%2f", b"%25", b"-1", b"0", b"x" * 5000,
    b"%20", b"99999999999999999999", b"00000000-0000-4000-8000-000000000000", b"%0a", b"{server_id}",
    b"'%22;--", b"%F0%9F%98%80",
)  # fmt: skip

NAMED_BY = {"display_name": "name", "sort_key": "sort", "sort_dir": "sort"}
"""Arguments that a refusal calls by their other name."""

OLD = v2(34)
"""Before lists had pages everywhere."""


@pytest.fixture(scope="module")
def cloud() -> Generator[Watched]:
    with watched() as made:
        yield made


def lists(version: Microversion) -> list[Operation]:
    return [one for one in operations(version) if one.arguments]


@pytest.mark.parametrize("operation", lists(MAX), ids=lambda one: one.path)
def test_every_argument_with_every_kind_of_value(cloud: Watched, operation: Operation) -> None:
    cloud.version = MAX
    cloud.settle()
    for name in operation.arguments:
        for value in HOSTILE:
            path = operation.to(cloud.ids) + b"?" + name.encode() + b"=" + value
            answer = cloud.ask(Asked(operation.method, path))
            if answer.status == 400 and not answer.message.startswith("Malformed request body"):
                assert NAMED_BY.get(name, name) in answer.message, (path, answer.message)


ARGUMENTS = [
    (version, operation, name)
    for version in (MIN, OLD, MAX)
    for operation in lists(version)
    for name in (*operation.arguments, "unheard-of")
]


HOSTILES = st.sampled_from(range(len(HOSTILE))).map(HOSTILE.__getitem__)
SEGMENT = st.sampled_from(range(len(SEGMENTS))).map(SEGMENTS.__getitem__)


@some(200)
@given(
    one=st.sampled_from(ARGUMENTS),
    values=st.lists(st.binary(max_size=40) | HOSTILES, max_size=5),
)
def test_any_values_of_an_argument(
    cloud: Watched, one: tuple[Microversion, Operation, str], values: list[bytes]
) -> None:
    cloud.version, operation, name = one
    query = b"&".join(name.encode() + b"=" + value for value in values)
    cloud.ask(Asked(operation.method, operation.to(cloud.ids) + b"?" + query))


@pytest.mark.parametrize("operation", lists(MAX), ids=lambda one: one.path)
def test_arguments_that_are_unknown_or_too_many(cloud: Watched, operation: Operation) -> None:
    cloud.version = MAX
    cloud.settle()
    path = operation.to(cloud.ids)
    many = cloud.ask(Asked(operation.method, path + b"?" + b"&".join([b"limit=1"] * 300)))
    assert many.status == 400
    if operation.method == "GET" and operation.path.startswith("/compute/v2.1/"):  # others want a body first
        answer = cloud.ask(Asked(operation.method, path + b"?unheard-of=1"))
        assert (answer.status, "unheard-of" in answer.message) == (400, True)


@pytest.mark.parametrize("version", [MIN, OLD, MAX], ids=str)
@pytest.mark.parametrize("name", ["limit", "marker"])
def test_pages_of_lists_that_have_them(cloud: Watched, version: Microversion, name: str) -> None:
    """A marker that is gone, and a limit that is none."""
    cloud.version = version
    paged = [one for one in lists(version) if name in one.arguments]
    assert len(paged) > 5
    for operation in paged:
        gone = b"99999999-9999-4999-8999-999999999999" if name == "marker" else b"-1"
        answer = cloud.ask(Asked("GET", operation.to(cloud.ids) + f"?{name}=".encode() + gone))
        if answer.status != 200:
            assert (answer.status, name in answer.message) == (400, True), operation
        else:
            assert version < v2(58), f"{operation.path} takes any {name}"


def test_a_marker_whose_server_was_deleted(cloud: Watched) -> None:
    """Somebody deletes what he pages through: the next page is the next page."""
    cloud.version = MAX
    cloud.settle()
    gone = cloud.ids["server_id"]
    path = f"/compute/v2.1/servers/{gone}".encode()
    assert cloud.ask(Asked("DELETE", path)).status == 204
    cloud.settle()
    newer = cloud.ask(Asked("GET", f"/compute/v2.1/servers?marker={gone}&sort_dir=asc&sort_key=created_at".encode()))
    assert [server["id"] for server in json.loads(newer.body)["servers"]] == [cloud.ids["server_id"]]
    assert cloud.ask(Asked("DELETE", path)).status == 404


@pytest.mark.parametrize("version", [MIN, MAX], ids=str)
def test_every_segment_of_every_path(cloud: Watched, version: Microversion) -> None:
    """With an empty body, so that nothing of this can be meant."""
    cloud.version = version
    for operation in operations(version):
        parts = operation.path.split("/")
        for at, part in enumerate(parts):
            if part.startswith("{"):
                for segment in SEGMENTS:
                    before = [piece.strip("{}").encode() for piece in parts[:at]]
                    path = b"/".join([*before, segment, *(piece.encode() for piece in parts[at + 1 :])])
                    cloud.ask(Asked(operation.method, path))


@some(100)
@given(
    path=st.lists(SEGMENT | st.binary(max_size=9), max_size=6),
    method=st.text(max_size=8),
)
def test_any_path_and_any_method(cloud: Watched, path: list[bytes], method: str) -> None:
    raw = b"/compute/v2.1/" + b"/".join(segment.replace(b"?", b"") for segment in path)
    for verb in ("GET", "PUT", "HEAD", method):
        assert cloud.ask(Asked(verb, raw)).status >= 400 or verb in ("GET", "HEAD")


HEADERS = (
    (b"x-auth-token", b""), (b"x-auth-token", b"\xff\xfe"), (b"x-auth-token", b"x" * 20_000),
    (b"x-auth-token", b"a.b.c"),
    (b"x-auth-token", b"eyJhbGciOiJub25lIn0.e30."), (b"x-subject-token", b"\xff"), (b"x-subject-token", b"a.b.c"),
    (b"openstack-api-version", b"compute"), (b"openstack-api-version", b"compute 2"),
    (b"openstack-api-version", b"compute 2.99999"), (b"openstack-api-version", b"compute 99999999999999.1"),
    (b"openstack-api-version", b"compute -2.1"), (b"openstack-api-version", b"compute 2.\xb2"),
    (b"openstack-api-version", b"compute 2.01"), (b"openstack-api-version", b"\xff\x00"),
    (b"openstack-api-version", b"compute 2.1, compute 2.2"), (b"openstack-api-version", b",,,"),
    (b"x-openstack-nova-api-version", b"2.1.1"), (b"x-openstack-nova-api-version", b"x" * 9000),
    (b"content-type", b""), (b"content-type", b"text/xml"), (b"content-type", b"\xff"),
    (b"content-type", b"application/json;"),
    (b"content-length", b"-1"), (b"content-length", b"x"), (b"content-length", b"1" * 30), (b"content-length", b"\xb2"),
    (b"host", b""), (b"host", b"a b/<x>"), (b"host", b"\xff"), (b"x-forwarded-proto", b"gopher"),
    (b"x-forwarded-host", b'evil"><script>'), (b"x-forwarded-prefix", b"/../\r\nx: y"),
)  # fmt: skip


@pytest.mark.parametrize("header", HEADERS, ids=lambda one: f"{one[0].decode()}: {one[1][:20]!r}")
def test_every_operation_with_a_header_that_is_wrong(cloud: Watched, header: tuple[bytes, bytes]) -> None:
    cloud.version = MAX
    cloud.settle()
    for operation in operations(MAX):
        if operation.method in ("DELETE",):
            continue  # a good path would be obeyed, whatever the header
        answer = cloud.ask(Asked(operation.method, operation.to(cloud.ids), b"{", (header,)))
        assert b"evil" not in answer.body, operation
        assert b"\r" not in answer.headers.get(b"Location", b""), operation


def test_versions_that_are_none_are_told_so(cloud: Watched) -> None:
    for text, status in ((b"compute 2.9999", 406), (b"compute two", 400), (b"compute 1.1", 406), (b"compute 2.0", 406)):
        asked = Asked("GET", b"/compute/v2.1/servers", headers=((b"openstack-api-version", text),))
        assert cloud.ask(asked).status == status
    asked = Asked("GET", b"/openapi.json?microversion=3.1")
    assert cloud.ask(asked).status == 406
    assert json.loads(cloud.ask(Asked("GET", b"/openapi.json?microversion=2.52")).body)["openapi"] == "3.1.0"


def test_nobody_without_a_token_learns_or_changes_anything(cloud: Watched) -> None:
    cloud.version = MAX
    cloud.settle()
    closed = [operation for operation in operations(MAX) if operation.needs_token]
    assert len(closed) > 50
    for operation in closed:
        for token in (b"", b"a.b.c", cloud.api.token[:-4].encode() + b"AAAA"):
            asked = Asked(operation.method, operation.to(cloud.ids), b"{}", ((b"x-auth-token", token),))
            assert cloud.ask(asked).status == 401, operation
