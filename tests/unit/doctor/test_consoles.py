# SPDX-License-Identifier: Apache-2.0
"""The doctor's verdict on the port for consoles, and on the way to the hosts' ports."""

import asyncio
import socket
from datetime import timedelta
from pathlib import Path

import pytest

from kilonova.doctor.consoles import Port, Reached, console_port, judge_port, judge_reached
from kilonova.doctor.finding import Level
from kilonova.objects.ids import HostName
from kilonova.rpc import certificates
from kilonova.rpcapi.console_wire import SERVER_NAME
from lab.cloud import free_port
from tests import make
from tests.service.test_host_consoles import host
from tests.unit.doctor.arranged import Subject, subject

OURS = certificates.new_alone(SERVER_NAME, make.NOW).certificate
FOREIGN = certificates.new_alone("nginx", make.NOW).certificate
OLD = certificates.new_alone(SERVER_NAME, make.NOW - timedelta(days=certificates.CA_DAYS - 1)).certificate
AT = "0.0.0.0:6084"


@pytest.mark.parametrize(
    ("port", "level", "words"),
    [
        (Port(AT), Level.OK, "is free"),
        (Port(AT, 7), Level.ERROR, "kilonova-compute (process 7) serves no consoles"),
        (Port(AT, 7, True, OURS, announced="192.0.2.7"), Level.OK, "are served"),
        (Port(AT, 7, True, OURS, announced="127.0.0.1"), Level.NOTE, "Only API processes on this machine"),
        (Port(AT, 7, True, OLD), Level.WARNING, "expires at 2026-03-"),
        (Port(AT, 7, True, FOREIGN), Level.ERROR, "Another program has 0.0.0.0:6084"),
        (Port(AT, None, True, ""), Level.ERROR, "Another program has 0.0.0.0:6084"),
        (Port(AT, refusal="Cannot assign requested address"), Level.ERROR, "cannot be listened on"),
    ],
)
def test_the_verdict_on_the_port_of_a_host(port: Port, level: Level, words: str) -> None:
    verdict = judge_port(port, make.NOW)
    assert (verdict.level, words in verdict.found) == (level, True), verdict
    assert bool(verdict.cure) == (level is not Level.OK)


H1, H2 = HostName("h1"), HostName("h2")


@pytest.mark.parametrize(
    ("reached", "level", "words"),
    [
        (Reached({H1, H2}), Level.OK, "of 2 hosts are reached"),
        (Reached({H1}, {H2: "Host h2 cannot be reached."}), Level.ERROR, "Host h2 cannot be reached."),
        (Reached(set(), {H1: "No.", H2: "No."}), Level.ERROR, "No. 1 other hosts are not reached either."),
        (Reached({H1}, {}, {H2}), Level.WARNING, "1 hosts did not answer within 5 s, h2 among them"),
    ],
)
def test_the_verdict_on_the_way_to_the_hosts(reached: Reached, level: Level, words: str) -> None:
    verdict = judge_reached(reached)
    assert (verdict.level, words in verdict.found) == (level, True), verdict


async def test_a_port_that_is_served_free_or_taken(tmp_path: Path) -> None:
    async with host(tmp_path) as h:
        port = (await h.ticket()).port
        served = await asyncio.to_thread(console_port, at(tmp_path, port))
        assert "Only API processes on this machine" in served.found
        assert not h.refused("hello")
    assert console_port(at(tmp_path, free_port())).level is Level.OK
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = console_port(at(tmp_path, other.getsockname()[1]))
    assert (taken.level, "Another program has" in taken.found) == (Level.ERROR, True), taken
    assert console_port(at(tmp_path, 6084, "192.0.2.1")).level is Level.ERROR
    assert console_port(subject(tmp_path)).level is Level.OK


def at(directory: Path, port: int, address: str = "127.0.0.1") -> Subject:
    """A host of a fleet that is to listen there."""
    where = {"console__listen": f"{address}:{port}", "console__address": "127.0.0.1"}
    return subject(directory, transport_url="nats://127.0.0.1:1", **where)
