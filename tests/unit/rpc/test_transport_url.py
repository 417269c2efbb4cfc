# SPDX-License-Identifier: Apache-2.0
"""transport_url: what it may be, and that no secret of it is ever shown."""

import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.errors import ConfigError
from kilonova.config.load import load
from kilonova.rpc.nats import NatsBus
from kilonova.rpc.transport_url import Access, Servers, guarded, parse_url


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("nats://127.0.0.1", Servers(("nats://127.0.0.1:4222",))),
        ("nats://h1:1, nats://h2:2/,", Servers(("nats://h1:1", "nats://h2:2"))),
        ("tls://h1,tls://u:p@h2:1", Servers(("tls://h1:4222", "tls://h2:1"), user="u", password="p")),
        ("nats://[::1]:5", Servers(("nats://[::1]:5",))),
        ("nats://u:p%40%3A%2F@h", Servers(("nats://h:4222",), user="u", password="p@:/")),
        ("nats://u:@h", Servers(("nats://h:4222",), user="u", password="")),
        ("nats://t0ken@h1,nats://h2", Servers(("nats://h1:4222", "nats://h2:4222"), token="t0ken")),
    ],
)
def test_what_it_may_be(url: str, servers: Servers) -> None:
    assert parse_url(url) == servers


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "not set"),
        (" , ", "not set"),
        ("rabbit://nova:hunter2@mq:5672/", "not rabbit"),
        ("tls://h,nats://u:hunter2@h:4222", "mixes"),
        ("h:4222", "not a URL"),
        ("u:hunter2@h", "not a URL"),
        ("nats://u:hunter2@h:port", "not a URL"),
        ("nats://u:hunter2@:4222", "not a URL"),
        ("nats://h1,nats://u:hunter2@h2/path", "server 2"),
        ("nats://u:hunter2@[::1", "not a URL"),
    ],
)
def test_what_it_may_not_be(url: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        NatsBus(url, "h", SystemClock())
    shown = str(caught.value) + repr(caught.value.details)
    assert "hunter2" not in shown
    assert caught.value.__cause__ is None


def test_no_secret_is_shown_by_accident() -> None:
    url = "nats://u:hunter2@h"
    assert "hunter2" not in repr(parse_url(url)) + repr(load(overrides={("DEFAULT", "transport_url"): url}))


@pytest.mark.parametrize(
    "url",
    [
        "nats://127.0.0.1",
        "nats://localhost:1,nats://[::1]",
        "nats://127.8.9.1:4222",
        "nats://u:p@h",
        "nats://t0ken@h,h2",
    ],
)
def test_a_bus_on_this_machine_or_with_credentials_may_be_used(url: str) -> None:
    url = url.replace(",h2", ",nats://h2")
    assert guarded(Access(url)).servers == parse_url(url)


@pytest.mark.parametrize("url", ["nats://h", "nats://127.0.0.1,nats://192.0.2.1:4223", "nats://0.0.0.0", "nats://[::]"])
def test_a_bus_of_others_without_credentials_is_refused_with_what_to_do(url: str) -> None:
    with pytest.raises(
        ConfigError, match=r"beyond this machine .* without credentials.*nats://user:password@host:port"
    ):
        guarded(Access(url))
