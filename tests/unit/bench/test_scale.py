# SPDX-License-Identifier: Apache-2.0
"""The simulated hosts and the load of `make scale`."""

import hashlib
import uuid
from collections import Counter
from pathlib import Path

import pytest

from bench.figures import CannotMeasure
from bench.scale.farm import Child
from bench.scale.hosts_child import HostsPlan, Report, guest_id, host_name
from bench.scale.offered import MIX
from lab.fleet.process import FleetProcess


def test_a_guest_has_the_id_that_the_database_computes() -> None:
    digest = hashlib.md5(b"guest-17-3", usedforsecurity=False).hexdigest()
    assert guest_id(17, 3) == str(uuid.UUID(digest))
    assert host_name(17) == "h00017"


def test_as_many_servers_are_created_as_deleted() -> None:
    kinds = Counter(MIX)
    assert len(MIX) == 20
    assert kinds["create"] == kinds["delete"] == 3
    assert kinds["show"] == 8


def test_the_newest_whole_report_of_a_process_counts(tmp_path: Path) -> None:
    text = '{"ready": 1, "connected": 2, "answered_at": 3.5}\\nnoise\\n{"ready": 2, "conn'
    process = FleetProcess("hosts", ["sh", "-c", f"printf '{text}'; sleep 60"], tmp_path / "log")
    child = Child(HostsPlan(str(tmp_path), 0, 2), process)
    process.start()
    try:
        process.wait_until(lambda: process.has_printed('2, "conn'), 20.0)
        assert child.report() == Report(1, 2, 3.5)
    finally:
        process.kill()
    with pytest.raises(CannotMeasure, match="ended"):
        child.report()
