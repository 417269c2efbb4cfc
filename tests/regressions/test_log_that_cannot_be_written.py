# SPDX-License-Identifier: Apache-2.0
"""A service whose standard error was a full disk, or a pipe that nobody reads any more, answered 500 without a body,
and ended."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.live.box import wait_for
from tests.service.process import running

DROPPED = "kilonova_log_lines_dropped_total"


@pytest.mark.parametrize("kind", ["full disk", "no reader", "closed"])
def test_the_service_goes_on_and_counts(tmp_path: Path, kind: str) -> None:
    reading, writing = os.pipe() if kind == "no reader" else (None, os.open("/dev/full", os.O_WRONLY))
    # (of streams that are closed, the standard ones, nothing is dropped: /dev/null stands for them)
    streams = {"stdout": writing, "stderr": writing}
    if kind == "closed":
        streams = {"stdout": None, "stderr": None, "preexec_fn": lambda: (os.close(1), os.close(2))}  # type: ignore[dict-item]
    with running(tmp_path, **streams) as process:
        if reading is not None:
            os.close(reading)
        os.close(writing)
        process.popen.send_signal(signal.SIGHUP)  # it says that it has read its configuration again
        if kind != "closed":
            wait_for(lambda: process.metric(DROPPED) > 0, why=lambda: "nothing was dropped")
        assert process.answers("/healthz")
        assert process.http.get("/compute/v2.1/servers").status_code == 401
        assert process.http.get("/compute/v2.1/servers", headers=process.log_in()).status_code == 200


def test_what_was_dropped_is_told_when_somebody_reads_again(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(writing, True)
    with running(tmp_path, stdout=subprocess.DEVNULL, stderr=writing) as process:
        os.close(writing)
        process.popen.send_signal(signal.SIGHUP)
        wait_for(lambda: process.metric(DROPPED) > 0, why=lambda: "nothing was dropped")
        assert process.answers("/healthz")
        said = b""

        def told() -> bool:
            nonlocal said
            try:
                said += os.read(reading, 1 << 20).replace(b"x" * 64, b"")
            except BlockingIOError:
                return False
            return b"log lines were dropped" in said

        wait_for(told, why=lambda: said.decode())
    os.close(reading)
