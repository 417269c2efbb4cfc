# SPDX-License-Identifier: Apache-2.0
"""What credentials permit: every declared subject has a permission, and nobody has more than its own."""

import importlib
import pkgutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kilonova.rpcapi
from kilonova.rpc.bus import matches, token
from kilonova.rpc.credentials import identity
from kilonova.rpc.nats_jwt import Rights
from kilonova.rpcapi.method import Method, methods_of
from kilonova.rpcapi.permissions import CHANNELS, Role, rights


def declared() -> list[Method[object, object]]:
    modules = (importlib.import_module(f"kilonova.rpcapi.{one.name}") for one in pkgutil.iter_modules(rpcapi_path()))
    return [method for module in modules for method in methods_of(module).values()]


def rpcapi_path() -> list[str]:
    return list(kilonova.rpcapi.__path__)


def allows(patterns: tuple[str, ...], subject: str) -> bool:
    return any(
        subject.startswith(pattern[:-1]) if pattern.endswith(">") else matches(pattern, subject) for pattern in patterns
    )


def test_every_declared_method_has_a_sender_and_a_receiver() -> None:
    methods = declared()
    assert len(methods) > 60
    assert {method.subject for method in methods} <= set(CHANNELS)
    for method in methods:
        channel = CHANNELS[method.subject]
        subject = method.subject.replace("*", token("h1"))
        receiver = rights(channel.receiver, "h1")
        assert allows(receiver.subscribe, subject), method.name
        for role in channel.senders:
            assert allows(rights(role, "h1").publish, subject), (role, method.name)


def test_a_new_subject_has_no_permission_by_itself() -> None:
    for role in Role:
        found = rights(role, "h1")
        assert not allows(found.publish + found.subscribe, "conductor.new")


def test_a_host_speaks_and_hears_for_itself_only() -> None:
    assert rights(Role.HOST, "h1") == Rights(
        ("conductor.host.h1", "heartbeat.h1", "ping.host-h1.*"),
        ("compute.h1", "_INBOX.host-h1.>", "ping.host-h1.*"),
        replies=True,
    )


def test_the_others() -> None:
    api = rights(Role.API, "a1")
    assert set(api.publish) == {"compute.*", "conductor.api", "conductor.operators", "ping.api-a1.*"}
    assert api.subscribe == ("_INBOX.api-a1.>", "ping.api-a1.*")
    conductor = rights(Role.CONDUCTOR, "c1")
    assert "conductor.host.*" in conductor.subscribe
    assert "heartbeat.*" in conductor.subscribe
    assert not allows(conductor.subscribe, "_INBOX.host-h1.x")
    assert rights(Role.OPERATOR, "o1").publish == ("conductor.operators", "ping.operator-o1.*")


@pytest.mark.parametrize("name", ["*", ">", "h1.>", "conductor-c1", "a b", "h1.h2"])
def test_no_name_gives_a_host_more(name: str) -> None:
    found = rights(Role.HOST, name)
    for subject in ("conductor.host.h1", "conductor.api", "heartbeat.h1", "ping.host-h1.p", "_INBOX.api-a.x"):
        assert not allows(found.publish, subject), name
    for subject in ("compute.h1", "conductor.api", "_INBOX.conductor-c1.x", "_INBOX.host-h1.x"):
        assert not allows(found.subscribe, subject), name


@given(st.text(), st.text())
def test_two_names_never_have_one_token(one: str, other: str) -> None:
    try:
        same = token(one) == token(other)
    except UnicodeEncodeError:
        return
    assert same == (one == other)


def test_two_names_that_once_had_one_token() -> None:
    assert token(" 26") != token("\u2026")


@given(st.sampled_from(Role), st.text(max_size=8), st.sampled_from(Role), st.text(max_size=8))
def test_two_processes_never_share_an_inbox(role: Role, name: str, other_role: Role, other: str) -> None:
    same = identity(role, name) == identity(other_role, other)
    assert same == ((role, name) == (other_role, other))


def test_an_observer_hears_notifications_only() -> None:
    assert rights(Role.OBSERVER, "o") == Rights(
        ("ping.observer-o.*",), ("notifications.>", "_INBOX.observer-o.>", "ping.observer-o.*"), replies=True
    )
    assert "notifications.>" in rights(Role.CONDUCTOR, "c").publish
