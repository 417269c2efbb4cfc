# SPDX-License-Identifier: Apache-2.0
"""The doctor's verdict on the bus, from what each server showed."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kilonova.base.clock import SystemClock
from kilonova.doctor.bus import bus_credentials, judge_bus, judge_credentials, message_bus
from kilonova.doctor.finding import Level
from kilonova.rpc import nats_jwt
from kilonova.rpc.credentials import Credentials
from kilonova.rpc.nats_jwt import KeyKind, Rights
from kilonova.rpc.servers import ServerFacts
from kilonova.rpcapi.permissions import Role, rights
from lab.cloud import free_port
from tests.unit.doctor.test_service import saying, subject

CLOCK = SystemClock()
NOW = datetime.fromtimestamp(int(time.time()), UTC)
FINE = ServerFacts("tls://h1:4222", "", 1 << 20, NOW + timedelta(days=300), True, "2.15.1", round_trip_s=0.002)
DEAD = ServerFacts("tls://h2:4222", "Connection refused")


def credentials(days: int | None, allowed: Rights | None = None) -> Credentials:
    account, user = nats_jwt.new_seed(KeyKind.ACCOUNT, CLOCK), nats_jwt.new_seed(KeyKind.USER, CLOCK)
    end = None if days is None else int((NOW + timedelta(days=days)).timestamp())
    jwt = nats_jwt.user(account, nats_jwt.public_key(user), "host-h1", (0, end), allowed)
    return Credentials("host-h1", ("tls://h1:4222",), jwt, user)


@pytest.mark.parametrize(
    ("found", "level", "words"),
    [
        ([FINE], Level.OK, "accepts this process at tls://h1:4222 (nats-server 2.15.1, 2 ms)"),
        ([FINE, replace(FINE, address="tls://h2:4222")], Level.WARNING, "are not one cluster"),
        ([replace(FINE, cluster="a"), replace(FINE, cluster="b")], Level.WARNING, "are not one cluster"),
        ([replace(FINE, cluster="a"), replace(FINE, cluster="a")], Level.OK, "cluster a"),
        ([FINE, DEAD], Level.WARNING, "tls://h2:4222: Connection refused"),
        ([DEAD], Level.ERROR, "No NATS server accepts"),
        (
            [ServerFacts("tls://h1:4222", "no conductor serves the bus", connected=True)],
            Level.ERROR,
            "no conductor",
        ),
        ([ServerFacts("nats://h1:4222", "", 65536, connected=True)], Level.WARNING, "is 65536 bytes"),
        (
            [ServerFacts("tls://h1:4222", "", 1 << 20, NOW + timedelta(days=3), connected=True)],
            Level.WARNING,
            "certificate of tls://h1:4222 expires",
        ),
    ],
)
def test_the_verdict(found: list[ServerFacts], level: Level, words: str) -> None:
    verdict = judge_bus(found, credentials(None), NOW)
    assert (verdict.level, words in verdict.found) == (level, True), verdict
    assert bool(verdict.cure) == (level is not Level.OK)


@pytest.mark.parametrize(
    ("days", "allowed", "level", "words"),
    [
        (None, rights(Role.HOST, "h1"), Level.OK, "never expire"),
        (15, rights(Role.HOST, "h1"), Level.OK, "expire at"),
        (13, rights(Role.HOST, "h1"), Level.WARNING, "expire at"),
        (-1, rights(Role.HOST, "h1"), Level.ERROR, "expired at"),
        (None, rights(Role.HOST, "h2"), Level.ERROR, "are older than this version and do not permit conductor.host.h1"),
        (None, None, Level.OK, "never expire"),
    ],
)
def test_credentials(days: int | None, allowed: Rights | None, level: Level, words: str) -> None:
    verdict = judge_credentials(credentials(days, allowed), NOW)
    assert (verdict.level, words in verdict.found) == (level, True), verdict
    assert bool(verdict.cure) == (level is not Level.OK)


def test_a_bus_with_one_user_for_all(tmp_path: Path) -> None:
    assert bus_credentials(subject(tmp_path)).level is Level.OK
    assert bus_credentials(subject(tmp_path, transport_url="nats://127.0.0.1:1")).level is Level.NOTE
    shared = bus_credentials(subject(tmp_path, transport_url="nats://u:hidden@h1:1"))
    assert (shared.level, "hidden" in repr(shared)) == (Level.WARNING, False)


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
