# SPDX-License-Identifier: Apache-2.0
"""The doctor's verdict on the bus, from what each server showed."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kilonova.base.clock import SystemClock
from kilonova.doctor.bus import ServerFacts, judge_bus, message_bus
from kilonova.doctor.finding import Level
from kilonova.rpc import nats_jwt
from kilonova.rpc.credentials import Credentials
from kilonova.rpc.nats_jwt import KeyKind
from lab.cloud import free_port
from tests.unit.doctor.test_service import saying, subject

CLOCK = SystemClock()
NOW = datetime.fromtimestamp(int(time.time()), UTC)
FINE = ServerFacts("tls://h1:4222", "", 1 << 20, NOW + timedelta(days=300), connected=True)
DEAD = ServerFacts("tls://h2:4222", "Connection refused")


def credentials(days: int | None) -> Credentials:
    account, user = nats_jwt.new_seed(KeyKind.ACCOUNT, CLOCK), nats_jwt.new_seed(KeyKind.USER, CLOCK)
    end = None if days is None else int((NOW + timedelta(days=days)).timestamp())
    jwt = nats_jwt.user(account, nats_jwt.public_key(user), "host-h1", (0, end), None)
    return Credentials("host-h1", ("tls://h1:4222",), jwt, user)


@pytest.mark.parametrize(
    ("found", "days", "level", "words"),
    [
        ([FINE], None, Level.OK, "accepts this process at tls://h1:4222"),
        ([FINE], 15, Level.OK, "accepts"),
        ([FINE], 13, Level.WARNING, "credentials of host-h1 expire"),
        ([FINE, DEAD], None, Level.WARNING, "tls://h2:4222: Connection refused"),
        ([DEAD], None, Level.ERROR, "No NATS server accepts"),
        (
            [ServerFacts("tls://h1:4222", "no conductor serves the bus", connected=True)],
            None,
            Level.ERROR,
            "no conductor",
        ),
        ([ServerFacts("nats://h1:4222", "", 65536, connected=True)], None, Level.WARNING, "is 65536 bytes"),
        (
            [ServerFacts("tls://h1:4222", "", 1 << 20, NOW + timedelta(days=3), connected=True)],
            None,
            Level.WARNING,
            "certificate of tls://h1:4222 expires",
        ),
    ],
)
def test_the_verdict(found: list[ServerFacts], days: int | None, level: Level, words: str) -> None:
    verdict = judge_bus(found, credentials(days), NOW)
    assert (verdict.level, words in verdict.found) == (level, True), verdict
    assert bool(verdict.cure) == (level is not Level.OK)


def test_the_bus(tmp_path: Path) -> None:
    assert message_bus(subject(tmp_path)).level is Level.OK
    dead = f"nats://127.0.0.1:{free_port()}"
    found = message_bus(subject(tmp_path, transport_url=dead.replace("://", "://user:hidden@")))
    assert found.level is Level.ERROR
    assert "hidden" not in repr(found)
    with saying(b"HTTP/1.1 400\r\n") as port:
        assert "INFO" in message_bus(subject(tmp_path, transport_url=f"nats://127.0.0.1:{port}")).found
    assert message_bus(subject(tmp_path, transport_url="rabbit://x")).level is Level.ERROR
    missing = message_bus(subject(tmp_path, transport_credentials=str(tmp_path / "none")))
    assert missing.level is Level.ERROR
    assert "cannot be read" in missing.found
