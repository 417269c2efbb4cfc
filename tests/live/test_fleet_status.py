# SPDX-License-Identifier: Apache-2.0
"""`kilonova fleet status`, the doctor and the metrics of a fleet of real processes, with problems planted in it."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from kilonova.config.load import load
from kilonova.doctor.bus import message_bus
from kilonova.doctor.consoles import console_port
from kilonova.doctor.finding import Level
from kilonova.doctor.fleet import conductor, fleet_hosts
from kilonova.doctor.subject import subject_of
from kilonova.rpcapi.permissions import Role
from tests.live.box import wait_for
from tests.live.trusted_fleet import TrustedFleet, trusted_fleet

pytestmark = pytest.mark.live


@pytest.fixture
def fleet() -> Iterator[TrustedFleet]:
    with trusted_fleet() as made:
        yield made


def status(fleet: TrustedFleet, *words: str) -> "subprocess.CompletedProcess[str]":
    return command(fleet, "status", *words)


def forget_store(fleet: TrustedFleet, store: str) -> "subprocess.CompletedProcess[str]":
    return command(fleet, "forget-store", store, "--yes")


def command(fleet: TrustedFleet, *words: str) -> "subprocess.CompletedProcess[str]":
    """`kilonova fleet`, with the credentials of an operator, and nothing else."""
    config = fleet.directory / "operator.conf"
    file = fleet.bench.access(Role.OPERATOR, "o1").credentials_file
    config.write_text(f"[DEFAULT]\ntransport_credentials = {file}\n")
    argv = [sys.executable, "-m", "kilonova", "fleet", *words, "--config-file", str(config)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=90, check=False)
    assert "Traceback" not in done.stderr
    return done


def found(fleet: TrustedFleet) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(status(fleet, "--json").stdout)
    return shown


def metric(fleet: TrustedFleet, name: str) -> float:
    text = httpx.get(f"http://127.0.0.1:{fleet.status}/metrics", timeout=20).text
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.rpartition(" ")[2])


def write(fleet: TrustedFleet, statement: str, *values: object) -> None:
    with sqlite3.connect(fleet.state / "kilonova.db", timeout=20) as db:
        db.execute(statement, values)
    db.close()


def test_a_fleet_is_shown_with_what_is_wrong_in_it(fleet: TrustedFleet) -> None:
    nobody = status(fleet)
    assert nobody.returncode == 1
    assert nobody.stderr.startswith("kilonova: NATS is there, but no conductor answers: start kilonova-conductor")
    assert nobody.stderr.count("\n") == 1
    fleet.conductor.start().ready()
    fleet.compute.start().ready()
    wait_for(lambda: len(found(fleet)["hosts"]) == 1)
    shown = found(fleet)
    assert [(one["binary"], one["state"]) for one in shown["processes"]] == [("kilonova-conductor", "up")]
    assert (shown["hosts"][0]["process"]["host"], shown["hosts"][0]["process"]["state"]) == ("box1", "up")
    assert (shown["database"]["kind"], shown["problems"]) == ("sqlite", [])
    assert (shown["nats"][0]["reason"], shown["nats"][0]["version"][:2]) == ("", "2.")
    assert metric(fleet, 'kilonova_hosts{state="up"}') == 1
    assert metric(fleet, "kilonova_database_up") == 1
    assert metric(fleet, "kilonova_database_connections_max") >= 1

    of_api = fleet.directory / "a1.conf"
    of_api.write_text(f"[DEFAULT]\ntransport_credentials = {fleet.bench.access(Role.API, 'a1').credentials_file}\n")
    reached = console_port(subject_of(load([str(of_api)])))
    assert (reached.level, reached.facts["reached"]) == (Level.OK, ["box1"]), reached

    fleet.compute.kill()
    lost = console_port(subject_of(load([str(of_api)])))
    assert (lost.level, list(lost.facts["reasons"])) == (Level.ERROR, ["box1"]), lost
    claim = "INSERT INTO contests (host, claimant, claimed_at, conflict) VALUES ('box1', 'p2', NULL, ?)"
    write(fleet, claim, "Host 'box1' has two live processes: stop one.")
    write(fleet, "UPDATE services SET forced_down = 1 WHERE host = 'box1'")
    shown = status(fleet).stdout
    assert re.search(r"box1 .* down .* forced down by an operator", shown), shown
    assert "  Host 'box1' has two live processes: stop one.\n" in shown
    assert metric(fleet, 'kilonova_hosts{state="down"}') == 1
    of_host = conductor(subject_of(load([str(fleet.config)])))
    assert (of_host.level, "two live processes" in of_host.found) == (Level.ERROR, True)
    of_fleet = fleet_hosts(subject_of(load([str(fleet.directory / "conductor-c1.conf")])))
    assert (of_fleet.level, "two live processes" in of_fleet.found) == (Level.ERROR, True)

    store = "INSERT INTO image_stores (url, store_id, process_id, seen_at, is_full) VALUES (?, 's1', 'p', 1, 0)"
    write(fleet, store, "http://gone")
    shown = status(fleet).stdout
    assert re.search(r"s1 .* http://gone .* down .* 0 .* 0 ", shown), shown
    assert "kilonova fleet forget-store s1" in shown
    assert forget_store(fleet, "s1").stdout == "Image store s1 was given up. It had 0 images.\n"
    twice = forget_store(fleet, "s1")
    assert (twice.returncode, twice.stderr.count("\n")) == (1, 1)

    fleet.bench.server.stop()
    away = status(fleet)
    assert (away.returncode, away.stderr.count("\n")) == (1, 1)
    assert "There is no connection to NATS at tls://127.0.0.1:" in away.stderr
    assert message_bus(subject_of(load([str(fleet.config)]))).level is Level.ERROR


def test_the_one_box_is_no_fleet(fleet: TrustedFleet) -> None:
    fleet.config.write_text("")
    argv = [sys.executable, "-m", "kilonova", "fleet", "status", "--config-file", str(fleet.config)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, "the one box is no fleet" in done.stderr) == (1, True)
