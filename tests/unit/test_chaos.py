# SPDX-License-Identifier: Apache-2.0
"""The parts of `make chaos`: each check can fail, a schedule follows from its seed, a relay loses what it should."""

import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kilonova.objects.states import PowerState
from tests.chaos.checks import Seen, broken, verdict
from tests.chaos.cloud import Cloud, Shape
from tests.chaos.faults import MAKERS, OF_OPERATORS, Faults
from tests.chaos.guest_log import ledger
from tests.chaos.operators import Operator
from tests.chaos.records import Records, Sight, Watch
from tests.chaos.relay import Network
from tests.chaos.report import Report, requests
from tests.chaos.schedule import (
    ENDING,
    GIVE_UP,
    GIVEN_UP_S,
    KILL,
    LONGEST_S,
    STEP,
    Fault,
    lanes_of,
    schedule,
    targets,
)
from tests.crashes.victim import TOP, Programs, Victim
from tests.live.box import wait_for
from tests.live.other_clock import set_ahead
from tests.simulation.explore.history import Exchange
from tests.simulation.explore.truth import Truth

SERVER, OTHER = "0b9c7a52-0000-4000-8000-000000000001", "0b9c7a52-0000-4000-8000-000000000002"
ALL = Shape(real=2, disks=True)
FAULT = Fault(KILL, "api1", 2.0, 5.0)


# -- the schedule ------------------------------------------------------------------------------------------------------


def test_a_schedule_follows_from_its_seed_and_has_every_kind_and_target() -> None:
    found = schedule(1, 3600, ALL, 2.0)
    assert found == schedule(1, 3600, ALL, 2.0) != schedule(2, 3600, ALL, 2.0)
    assert {(fault.kind, fault.target) for fault in found} == {
        (k, one) for k, ones in targets(ALL).items() for one in ones
    }
    assert targets(ALL).keys() == {*MAKERS, *OF_OPERATORS}
    assert all(0 < fault.lasts_s <= LONGEST_S and fault.end_s < 3600 for fault in found if fault.kind != GIVE_UP)
    assert all(fault.lasts_s > GIVEN_UP_S for fault in found if fault.kind == GIVE_UP)
    last: dict[str, float] = {}
    for fault in (one for one in found if one.kind in ENDING):
        assert all(fault.at_s > last.get(lane, 0) for lane in lanes_of(fault))
        last |= dict.fromkeys(lanes_of(fault), fault.end_s)
    assert not [one for one in schedule(1, 3600, Shape(), 2.0) if "real" in one.target or "fill" in one.kind]


FOLLOWING = """
import sys, time
from pathlib import Path
from tests.live.other_clock import follow
begin = time.time() - time.monotonic()
follow(Path(sys.argv[1]))
for _ in sys.stdin:
    print(round(time.time() - time.monotonic() - begin, -1), flush=True)
"""


def test_a_running_process_follows_the_steps_of_its_clock(tmp_path: Path) -> None:
    clock, argv = tmp_path / "clock", [sys.executable, "-c", FOLLOWING]
    set_ahead(clock, 600)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": TOP}
    with subprocess.Popen([*argv, str(clock)], **pipes) as process:  # type: ignore[call-overload]
        assert process.stdin is not None
        assert process.stdout is not None
        for ahead_s in (600, -30, 0):
            set_ahead(clock, ahead_s)
            process.stdin.write("\n")
            process.stdin.flush()
            assert float(process.stdout.readline()) == ahead_s
        process.stdin.close()


# -- the checks --------------------------------------------------------------------------------------------------------


def row(**words: Any) -> Mapping[str, Any]:
    return {"id": SERVER, "vm_state": "active", "power_state": PowerState.RUNNING, "host": "real1", **words}


def living(**words: Any) -> Truth:
    flavor = {"id": "1", "vcpus": 1, "memory_mib": 1, "disk_gib": 1}
    more = {"name": "s", "deleted_at": None, "flavor": flavor, "old_flavor": None, "new_flavor": None, "addresses": ()}
    return Truth(servers=[row(**more, project_id="p", task_state=None, **words)])


def sight(last_s: float, verb: str = "stop") -> Sight:
    return Sight({"verb": verb, "instance_id": SERVER}, 0.0, last_s, 60.0)


RESET = Exchange(0, 0, True, SERVER, "resetState to error", 1.0, 0, 2.0, 0, None)
REAL = {"real": frozenset({"real1", "real2"})}


@pytest.mark.parametrize(
    ("seen", "name"),
    [
        (Seen(Truth(), sights=[sight(209)]), ""),
        (Seen(Truth(), sights=[sight(211)]), "each_action_ends_in_time"),
        (Seen(Truth(), [FAULT, FAULT], [sight(214)]), ""),  # (the time of two faults at once counts once)
        (Seen(Truth(), [FAULT, FAULT], [sight(216)]), "each_action_ends_in_time"),
        (Seen(Truth(), sights=[sight(900, "delete")]), ""),
        (Seen(Truth(), [Fault(STEP, "host1", 300, 1, -30)], [sight(269)]), ""),
        (Seen(Truth(), [Fault(STEP, "host1", 300, 1, -30)], [sight(271)]), "each_action_ends_in_time"),
        (Seen(living(), qemus=[("real1", f"kilonova-{SERVER}")], **REAL), ""),
        (Seen(living(), qemus=[], **REAL), "each_real_server_has_its_guest"),
        (Seen(living(), qemus=[("real2", f"kilonova-{SERVER}")], **REAL), "each_real_server_has_its_guest"),
        (Seen(living(), qemus=[(one, f"kilonova-{SERVER}") for one in ("real1", "real2")], **REAL), "each_real_server"),
        (Seen(living(vm_state="stopped", power_state=PowerState.SHUTDOWN), qemus=[], **REAL), ""),
        (Seen(Truth(), qemus=[("real1", f"kilonova-{OTHER}")], **REAL), "each_real_server_has_its_guest"),
        (Seen(living(host="host1")), "each_server_has_its_guest"),
        (Seen(Truth(), verified=["claim host1"]), "verify_finds_nothing"),
        (Seen(Truth(exchanges=[RESET]), verified=[f"file-kept host1 {SERVER}/disk.rescue"]), ""),
        (Seen(Truth(exchanges=[RESET]), verified=[f"file-kept host1 {OTHER}/disk.rescue"]), "verify_finds_nothing"),
        (Seen(Truth(), logs={"api1": "fine\nTraceback (most recent call last):\n  boom\n"}), "no_log_has_a_traceback"),
        (Seen(Truth(), logs={"api1": "a Traceback is no line\n"}), ""),
        (Seen(Truth(defects=["api1 ended by itself"])), "no_defect"),
        (Seen(Truth(twice=[f"Guest {SERVER} lives on a and b."])), "no_guest_runs_twice"),
    ],
)
def test_each_check_finds_its_breach(seen: Seen, name: str) -> None:
    found = [one for one in broken(seen) if one.startswith(name)] if name else broken(seen)
    assert bool(found) is bool(name), broken(seen)


def test_the_log_of_guests_shows_two_lives_and_a_repeated_start() -> None:
    def line(host: str, what: str, **words: object) -> Mapping[str, Any]:
        return {"at": 1.0, "host": host, "what": what, "guest": SERVER, **words}

    moved = [line("a", "live"), line("a", "start", token="t"), line("a", "off"), line("b", "live")]
    assert ledger(moved).twice == []
    assert ledger([moved[0], moved[3]]).twice != []
    died = [moved[0], line("a", "all", guests=[]), moved[3]]  # (it died before it could write "off")
    assert ledger(died).twice == []
    assert ledger([moved[3], line("a", "all", guests=[SERVER])]).twice != []
    assert ledger([*moved, moved[1]]).started[SERVER, "t"] == 2  # type: ignore[index]


def test_a_real_guest_on_two_hosts_is_seen(tmp_path: Path) -> None:
    with closing(Cloud(tmp_path, Shape())) as cloud:
        watch = Watch(cloud, Records(""), 0.0)
        watch.look_at_guests([("real1", "x"), ("real1", "y"), ("real2", "z")])
        assert (watch.twice, watch.real) == ([], {"x", "y", "z"})
        watch.look_at_guests([("real1", "x"), ("real2", "x")])
        assert len(watch.twice) == 1


def no_operator() -> Operator:
    raise AssertionError


class Ended(Victim):
    """A process that has ended."""

    starts = 0

    def start(self) -> None:
        self.starts += 1


def test_a_process_that_ended_by_itself_is_noted_and_started(tmp_path: Path) -> None:
    with closing(Cloud(tmp_path, Shape())) as cloud, closing(Programs("compute")) as programs:
        victim = cloud.victims["host1"] = Ended("compute", programs, [], tmp_path, "host1")
        victim.log.write_text("its last words\n")
        faults = Faults(cloud, [], 0.0, no_operator)
        faults.watch()
        assert (victim.starts, len(faults.ended)) == (1, 1)
        assert "its last words" in faults.ended[0]


# -- the report --------------------------------------------------------------------------------------------------------


def test_a_breach_is_told_with_requests_faults_and_log_lines() -> None:
    stop = Exchange(0, 1, False, SERVER, "stop", 3.0, 0, 4.0, 0, 202, request_id="req-1")
    lost = Exchange(1, 1, False, SERVER, "start", 9.0, 0, 17.0, 0, None)
    truth = Truth(exchanges=[stop, lost], actions=[{"request_id": "req-1", "state": "failed"}])
    far = Fault(KILL, "NATS", 300, 1)
    logs = {"host1": f"before\nreq-1 is refused\nabout {SERVER}\n"}
    report = Report(1, 60, Seen(truth, [FAULT, far]), [f"history_has_one_order: of {SERVER}"], logs=logs)
    (story,) = report.stories()
    for text in ("stop 0b9c7a52", "no answer", "kill -9: api1", "host1: req-1 is refused", f"host1: about {SERVER}"):
        assert text in story
    assert "NATS" not in story
    assert "before" not in story
    assert "1 accepted requests (0 real guests): 0 lost, 0 doubled, 0 stuck, 1 wrong." in report.text()
    table = {line.split()[0]: line.split()[1:] for line in requests(truth.exchanges, {"req-1": "failed"}).splitlines()}
    assert table["stop"] == ["0", "1", "0", "0", "0", "0"]
    assert table["start"] == ["0", "0", "0", "0", "0", "1"]


def test_breaches_are_counted_by_what_they_mean() -> None:
    names = ("accepted_is_recorded_once", "no_guest_runs_twice", "each_action_has_an_outcome", "claims_are_what_lives")
    assert verdict(f"{name}: x" for name in names) == {"lost": 1, "doubled": 1, "stuck": 1, "wrong": 1}


# -- the relay ---------------------------------------------------------------------------------------------------------


def _echo(server: socket.socket) -> None:
    def serve(peer: socket.socket) -> None:
        with peer:
            while data := peer.recv(100):
                peer.sendall(data)

    while True:
        try:
            peer, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(peer,), daemon=True).start()


def test_a_relay_forwards_holds_loses_and_refuses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, closing(Network()) as network:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        port = network.relay("a", lambda: int(server.getsockname()[1]))
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            assert _echoed(client, b"1")
            network.hold("a")
            wait_for(lambda: not network.relays["a"].flows.is_set())
            client.sendall(b"2")
            network.heal("a", lossless=True)
            assert client.recv(1) == b"2"
            network.hold("a")
            client.sendall(b"3")
            network.heal("a", lossless=False)
            assert not _echoed(client, b"4")
        network.refuse("a")
        wait_for(lambda: network.relays["a"].refuses)
        assert not _tries(port)
        network.heal("a", lossless=True)
        wait_for(lambda: _tries(port))
        server.shutdown(socket.SHUT_RDWR)


def _tries(port: int) -> bool:
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        return _echoed(client, b"5")


def _echoed(client: socket.socket, data: bytes) -> bool:
    """Whether the data comes back, and the connection was not reset."""
    try:
        client.sendall(data)
        return client.recv(1) == data
    except OSError:
        return False
