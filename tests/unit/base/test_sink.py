# SPDX-License-Identifier: Apache-2.0
"""A log that cannot be written: nothing raises, nothing waits, and what was dropped is told as soon as it can be."""

import contextlib
import os
from collections.abc import Generator

import pytest

from kilonova.base.sink import Sink


def said(count: int, reason: str) -> str:
    return f"dropped {count}: {reason}\n"


@pytest.fixture
def pipe() -> Generator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for end in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(end)


def read_all(reading: int, sink: Sink) -> bytes:
    """Until what is there was read, however much is written meanwhile."""
    found = b""
    os.set_blocking(reading, False)
    while True:
        try:
            found += os.read(reading, 1 << 20)
        except BlockingIOError:
            return found


def test_a_full_disk_costs_lines_and_nothing_else() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        sink = Sink(full, said)
        assert [sink.write("a\n"), sink.write("b\n")] == [2, 2]
        assert sink.dropped == 2
        sink.tell_dropped()
        assert sink.dropped == 2
    finally:
        os.close(full)


def test_what_was_dropped_is_told_before_the_next_line(tmp_path: os.PathLike[str]) -> None:
    path = os.path.join(tmp_path, "log")
    descriptor = os.open("/dev/full", os.O_WRONLY)
    sink = Sink(descriptor, said)
    sink.write("a\n")
    sink.write("b\n")
    file = os.open(path, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, descriptor)  # there is room again
    sink.write("c\n")
    sink.write("d\n")
    os.close(file)
    os.close(descriptor)
    with open(path) as found:
        assert found.read() == "dropped 2: No space left on device\nc\nd\n"
    assert sink.dropped == 2


def test_it_is_told_without_another_line(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    sink = Sink(writing, said)
    sink.note_lost("it could not be made")
    sink.tell_dropped()
    sink.tell_dropped()
    assert read_all(reading, sink) == b"dropped 1: it could not be made\n"


def test_a_pipe_whose_reader_went_away(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    sink = Sink(writing, said)
    os.close(reading)
    sink.write("a\n")
    assert sink.dropped == 1


def test_a_reader_that_stands_still_keeps_nobody(pipe: tuple[int, int]) -> None:
    """A pipe that is full takes no more, and a write that blocks would stop the service's own loop."""
    reading, writing = pipe
    sink = Sink(writing, said)
    line = "x" * 1000 + "\n"
    for _ in range(200):  # three times what a pipe holds
        sink.write(line)
    dropped = sink.dropped
    assert dropped > 100
    first = read_all(reading, sink)
    sink.write("again\n")
    rest = read_all(reading, sink)
    lines = (first + rest).decode().split("\n")
    assert lines[-2] == "again"
    assert lines[-3] == f"dropped {dropped}: nobody reads"
    assert lines.count(line.strip()) == 200 - dropped


def test_what_no_utf8_can_hold_is_written_all_the_same(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    Sink(writing, said).write("a\udcffb\n")
    assert read_all(reading, Sink(writing)) == b"a\\udcffb\n"


def test_a_closed_descriptor() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    os.close(writing)
    sink = Sink(writing, said)
    sink.write("a\n")
    assert sink.dropped == 1
