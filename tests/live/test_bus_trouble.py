# SPDX-License-Identifier: Apache-2.0
"""A NATS server that changes while a fleet runs on it: the log and the doctor of each process say what is wrong."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from kilonova.config.load import load
from kilonova.doctor.bus import message_bus
from kilonova.doctor.finding import Finding, Level
from kilonova.doctor.subject import subject_of
from kilonova.rpc import authority
from tests.contract.buses import nats_server
from tests.contract.trust import CLOCK
from tests.live.fleet import Fleet
from tests.live.test_processes import create
from tests.live.trusted_fleet import TrustedFleet, trusted_fleet

pytestmark = pytest.mark.live


def finding(config: Path) -> Finding:
    return message_bus(subject_of(load([str(config)])))


def test_the_server_returns_with_a_small_max_payload() -> None:
    with TemporaryDirectory(prefix="kn-fleet-") as directory, nats_server() as nats:
        fleet = Fleet(Path(directory), nats)
        try:
            fleet.conductor.start().ready()
            fleet.compute.start().ready()
            nats.stop()
            nats.extra = "max_payload: 65536"
            nats.start()
            for service in (fleet.conductor, fleet.compute):
                service.wait_said("max_payload is small")
            found = finding(fleet.config)
            assert (found.level, "max_payload" in found.found) == (Level.WARNING, True), found
            fleet.wait_state(create(fleet).id, "active")
        finally:
            fleet.close()


def test_the_certificate_of_the_server_expires_and_is_replaced() -> None:
    with trusted_fleet() as fleet:
        fleet.conductor.start().ready()
        fleet.compute.start().ready()
        _restart_with(fleet, timedelta(seconds=-1))
        for service in (fleet.conductor, fleet.compute):
            service.wait_said("certificate of the server has expired")
        found = finding(fleet.config)
        assert (found.level, "expired" in found.found) == (Level.ERROR, True), found
        _restart_with(fleet, timedelta(days=1))
        for service in (fleet.conductor, fleet.compute):
            service.wait_said("the bus is back")
        fleet.wait_state(create(fleet).id, "active")
        assert "Traceback" not in fleet.conductor.said() + fleet.compute.said()


def _restart_with(fleet: TrustedFleet, lifetime: timedelta) -> None:
    with authority.opened(fleet.bench.authority, CLOCK) as found:
        found.renew_certificate(["127.0.0.1"], lifetime)
    fleet.bench.server.stop()
    fleet.bench.server.start()
