# SPDX-License-Identifier: Apache-2.0
"""Whose words about a request are believed, and what may be served without TLS."""

from dataclasses import replace
from typing import Any

import pytest

from kilonova.api.http.connections import FOR_LOOPBACK, Connections, ConnectionSlot, networks
from kilonova.api.http.edge import Edge
from kilonova.api.http.tls import is_loopback, make_context, refuse_plain_beyond_loopback
from kilonova.base.errors import ConfigError, InvalidInput
from kilonova.config.load import load

API = load().api


def scope(client: str, **headers: str) -> dict[str, Any]:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {"client": (client, 1), "headers": raw, "http_version": "1.1"}


def host_is_good(edge: Edge, host: str | None, client: str = "192.0.2.1", version: str = "1.1") -> bool:
    try:
        edge.check_host({"client": (client, 1), "http_version": version}, {} if host is None else {"host": host})
    except InvalidInput:
        return False
    return True


@pytest.mark.parametrize(
    ("client", "believed"),
    [("192.0.2.1", True), ("::ffff:192.0.2.1", True), ("2001:db8::9", True), ("192.0.2.2", False), ("", False)],
)
def test_only_named_proxies_say_what_they_forward(client: str, believed: bool) -> None:
    edge = Edge(replace(API, trusted_proxies=("192.0.2.1", "2001:db8::/64")))
    found = edge.headers(scope(client, host="a", x_forwarded_host="b", x_forwarded_for="c", forwarded="d"))
    assert found["host"] == "a"
    assert ("x-forwarded-host" in found, "x-forwarded-for" in found, "forwarded" in found) == (believed,) * 3


def test_beyond_loopback_any_name_will_do_unless_some_are_named() -> None:
    assert host_is_good(Edge(replace(API, listen="0.0.0.0")), "cloud.example")
    named = Edge(replace(API, listen="0.0.0.0", allowed_hosts=("cloud.example",), public_name="other.example"))
    assert host_is_good(named, "cloud.example:8774")
    assert host_is_good(named, "other.example")
    assert not host_is_good(named, "evil.example")
    assert not host_is_good(Edge(API), "evil.example")
    assert host_is_good(Edge(replace(API, trusted_proxies=("192.0.2.1",))), "cloud.example")


def test_a_request_of_http_1_1_needs_a_host() -> None:
    assert not host_is_good(Edge(API), None)
    assert host_is_good(Edge(API), None, version="1.0")


def test_plain_http_stays_on_this_machine_unless_somebody_says_otherwise() -> None:
    for listen, loopback in (
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
    ):
        assert is_loopback(listen) is loopback
    refuse_plain_beyond_loopback(API)
    exposed = replace(API, listen="0.0.0.0")
    with pytest.raises(ConfigError, match="ssl_cert_file"):
        refuse_plain_beyond_loopback(exposed)
    refuse_plain_beyond_loopback(replace(exposed, allow_plain_http=True))
    refuse_plain_beyond_loopback(replace(exposed, ssl_cert_file="c"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"ssl_key_file": "k"}, "needs an ssl_cert_file"), ({"ssl_cert_file": "/nowhere"}, "No such file")],
)
def test_a_certificate_that_cannot_be_used_is_one_sentence(settings: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        make_context(replace(API, **settings))


def test_a_proxy_that_is_no_address_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be used"):
        load(overrides={("api", "trusted_proxies"): ["nginx"]})


class Sitting:
    def __init__(self, idle: bool) -> None:
        self.idle, self.dropped = idle, False

    def is_idle(self) -> bool:
        return self.idle

    def drop(self) -> None:
        self.dropped = True


def sit(room: Connections, address: str, *, idle: bool) -> tuple[ConnectionSlot | None, Sitting]:
    slot, sitting = room.admit(address), Sitting(idle)
    if slot is not None:
        slot.connection = sitting
    return slot, sitting


def test_who_has_most_connections_makes_room_for_others() -> None:
    room = Connections(FOR_LOOPBACK + 6, 5)
    greedy = [sit(room, "192.0.2.1", idle=True)[1] for _ in range(5)]
    assert sit(room, "192.0.2.2", idle=False)[0] is not None
    assert sit(room, "192.0.2.3", idle=False)[0] is not None
    assert [one.dropped for one in greedy] == [True, False, False, False, False]
    for one in greedy:
        one.idle = False
    assert sit(room, "192.0.2.4", idle=True)[0] is None
    assert sit(room, "127.0.0.1", idle=False)[0] is not None  # the machine itself


def test_of_ipv6_a_network_is_one_peer_and_a_proxy_is_many() -> None:
    room = Connections(100, 2, networks(["192.0.2.9"]))
    assert all(sit(room, f"2001:db8::{n}", idle=False)[0] for n in (1, 2))
    assert sit(room, "2001:db8::3", idle=False)[0] is None
    assert sit(room, "2001:db8:0:1::3", idle=False)[0] is not None
    assert all(sit(room, "192.0.2.9", idle=False)[0] for _ in range(10))


def test_a_seat_is_given_back_once() -> None:
    room = Connections(100, 1)
    slot, _ = sit(room, "192.0.2.1", idle=False)
    assert slot is not None
    slot.release()
    slot.release()
    assert (room.count, room.slots) == (0, {})
    assert sit(room, "192.0.2.1", idle=False)[0] is not None
