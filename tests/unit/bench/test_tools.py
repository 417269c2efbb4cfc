# SPDX-License-Identifier: Apache-2.0
"""What the bench measures with."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench import processes
from bench.bare_guest import FOREIGN_URI, Template, another
from bench.box import password_in
from bench.figures import CannotMeasure
from bench.load import all_active, child
from bench.raw_load import figures
from kilonova.virt.libvirt.xml.domain import METADATA_URI

SPIN = """
import subprocess, sys, time
subprocess.run([sys.executable, "-c", "sum(range(10**7))"])
print("x", flush=True)
time.sleep(60)
"""


def test_cpu_and_memory_of_a_tree_with_an_ended_child() -> None:
    spinner = subprocess.Popen([sys.executable, "-c", SPIN], stdout=subprocess.PIPE)
    try:
        assert spinner.stdout is not None
        assert spinner.stdout.readline() == b"x\n"
        assert processes.cpu_seconds(spinner.pid) > 0.05  # what the ended child spent counts
        assert 1 < processes.pss_mib(spinner.pid) < 100
        assert processes.tree(spinner.pid) == [spinner.pid]
        assert spinner.pid in processes.tree(os.getpid())
        assert processes.count(spinner.pid) == 1
    finally:
        assert processes.end(spinner, 10.0) == -15
        if spinner.stdout is not None:
            spinner.stdout.close()


def test_a_process_that_does_not_listen_is_killed() -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True); time.sleep(60)"
    deaf = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert deaf.stdout is not None
    deaf.stdout.readline()
    assert processes.end(deaf, 0.1) is None
    assert deaf.returncode == -9
    deaf.stdout.close()


def test_a_child_that_takes_too_long_is_dead_afterwards(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = "import os, pathlib, sys, time; pathlib.Path(sys.argv[1]).write_text(str(os.getpid())); time.sleep(3600)"
    with pytest.raises(CannotMeasure, match="was not done within"):
        child([sys.executable, "-c", code, str(pid)], 2.0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_child_that_fails_says_why() -> None:
    with pytest.raises(CannotMeasure, match="status 3: sad"):
        child([sys.executable, "-c", "import sys; print('sad', file=sys.stderr); sys.exit(3)"], 10)


def test_raw_samples_come_beside_the_scripts_own_summary() -> None:
    shown = figures([0.001, 0.003, 0.002])
    assert (shown["n"], shown["p50"], shown["raw"]) == (3, 2.0, [1.0, 3.0, 2.0])


def test_a_rate_of_failures_is_no_rate() -> None:
    all_active({"states": {"ACTIVE": 3}}, 3)
    with pytest.raises(CannotMeasure, match="ERROR"):
        all_active({"states": {"ACTIVE": 2, "ERROR": 1}}, 3)


def test_password_of_a_clouds_file() -> None:
    assert password_in("clouds:\n  kilonova:\n    auth:\n      password: abc123\n") == "abc123"
    with pytest.raises(CannotMeasure):
        password_in("clouds: {}\n")


def test_another_guest_shares_nothing_with_its_template() -> None:
    old, new = "11111111-1111-4111-8111-111111111111", "abcdef01-2222-4222-8222-222222222222"
    files = Path(f"/tmp/x/state/instances/{old}")
    xml = (
        f"<domain><name>kilonova-{old}</name><uuid>{old}</uuid><metadata xmlns:k='{METADATA_URI}'/>"
        f"<source file='{files}/disk'/><mac address='52:54:00:aa:bb:cc'/></domain>"
    )
    template = Template(xml, old, files, "/base", "raw", 1, None)
    made = another(template, new, Path(f"/tmp/y/{new}"))
    assert old not in made
    assert METADATA_URI not in made
    assert FOREIGN_URI in made
    assert f"/tmp/y/{new}/disk" in made
    assert "52:54:00:ab:cd:00" in made
