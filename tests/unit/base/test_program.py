# SPDX-License-Identifier: Apache-2.0
"""The end of a process, with a daemon thread in the way that aborts an interpreter which is finalized."""

import os
import subprocess
import sys

import pytest

STUCK = """
import sys
from kilonova.base.program import program
from kilonova.base.threads import start_daemon

def main():
    start_daemon("reads", sys.stdin.buffer.read)  # holds the lock of the stream, which finalization takes
    print("said")
    {end}

program(main)() if {whole} else main()
"""


def run(end: str, *, whole: bool = True, stdout: int = subprocess.PIPE) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    reading, writing = os.pipe()
    try:
        argv = [sys.executable, "-c", STUCK.format(end=end, whole=whole)]
        env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        ended = subprocess.run(
            argv, stdin=reading, stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False, env=env
        )
    finally:
        os.close(reading)
        os.close(writing)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("end", "status", "error"),
    [
        ("", 0, ""),
        ("sys.exit(150)", 150, ""),
        ("sys.exit('why')", 1, "why\n"),
        ("raise KeyError('defect')", 1, "KeyError: 'defect'\n"),
    ],
)
def test_a_process_ends_whatever_its_threads_do(end: str, status: int, error: str) -> None:
    ended, said, errors = run(end)
    assert (ended, said) == (status, "said\n")
    assert errors.endswith(error)


def test_without_it_such_a_thread_aborts_the_process() -> None:
    assert run("", whole=False)[0] < 0


def test_output_that_cannot_be_written_is_a_failure() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        ended, _, errors = run("", stdout=full)
        assert (ended, errors) == (1, "The output could not be written: [Errno 28] No space left on device\n")
    finally:
        os.close(full)
