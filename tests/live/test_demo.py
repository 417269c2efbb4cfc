# SPDX-License-Identifier: Apache-2.0
"""`make demo ARGS=--stay`: the guest speaks, a browser finds the page, and Ctrl-C leaves nothing."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.live.box import wait_for

pytestmark = pytest.mark.live

TOP = Path(__file__).parents[2]


def test_the_demo_stays_until_it_is_stopped(tmp_path: Path) -> None:
    output = tmp_path / "output"
    argv = [sys.executable, "-m", "lab.demo", "--stay", "--libvirt", "private"]
    with output.open("wb") as written:
        demo = subprocess.Popen(argv, cwd=TOP, stdin=subprocess.DEVNULL, stdout=written, stderr=written)
    try:
        wait_for(lambda: "Ctrl-C" in output.read_text() or demo.poll() is not None, within_s=240)
        text = output.read_text()
        assert "The guest has said its own name" in text, text
        address = re.search(r"Open (\S+/ui/) in a browser", text)
        password = re.search(r"as user admin with password (\S+)", text)
        assert address is not None, text
        assert password is not None, text
        assert "<title>" in httpx.get(address[1]).text
        user = {"name": "admin", "password": password[1], "domain": {"id": "default"}}
        login = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}}}
        answer = httpx.post(f"{address[1]}session", json=login, headers={"X-Kilonova-UI": "1"})
        assert answer.status_code == 201, answer.text
        demo.send_signal(signal.SIGINT)
        assert demo.wait(120) == 0, output.read_text()
        assert "no process, no domain, no disk left" in output.read_text()
    finally:
        demo.kill()
        demo.wait(10)
