# SPDX-License-Identifier: Apache-2.0
"""Log calls: a line that cannot be made or written is the log's loss, and nobody else's."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Generator

import pytest
import structlog

from kilonova.base import logging
from kilonova.base.context import serving
from kilonova.base.metrics import Metrics


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.fixture(autouse=True)
def _as_before() -> Generator[None]:
    yield
    logging.set_up(stream=io.StringIO())


def test_a_value_that_cannot_be_shown_raises_nothing() -> None:
    out = io.StringIO()
    for json_lines in (False, True):
        logging.set_up(stream=out, json_lines=json_lines)
        structlog.get_logger("a").info("a machine was seen", machine=Unspeakable())
    assert out.getvalue().count("could not be rendered (RuntimeError): a machine was seen") == 2


def test_what_was_dropped_is_counted_and_told_as_a_line() -> None:
    kept, full = os.dup(2), os.open("/dev/full", os.O_WRONLY)
    reading, writing = os.pipe()
    try:
        logging.set_up()
        os.dup2(full, 2)
        log = structlog.get_logger("a")
        log.warning("one")
        log.warning("two")
        found = logging.dropped_lines()
        metric = Metrics().value("kilonova_log_lines_dropped_total")
        os.dup2(writing, 2)
        logging.tell_dropped()
        log.warning("three")
    finally:
        os.dup2(kept, 2)
        for descriptor in (kept, full, writing):
            os.close(descriptor)
    assert (found, metric) == (2, 2)
    with open(reading) as said:
        lines = said.read().splitlines()
    assert len(lines) == 2
    assert "log lines were dropped" in lines[0]
    assert "count=2" in lines[0]
    assert "No space left" in lines[0]
    assert "three" in lines[1]


LINES = """
import logging, structlog
from kilonova.base.context import serving
from kilonova.base.logging import set_up
set_up()
log, library = structlog.get_logger("a"), logging.getLogger("library")
with serving("req-1"):
    log.info("one", size=3)
    library.warning("two")
log.info("three")
library.warning("four")
"""


def test_a_line_carries_the_id_of_its_request_a_librarys_line_too() -> None:
    done = subprocess.run([sys.executable, "-c", LINES], capture_output=True, text=True, check=True)
    one, two, three, four = done.stderr.splitlines()
    assert "[req-1] one" in one
    assert "size=3" in one
    assert "[req-1] two" in two
    assert "req-" not in three + four


def test_a_json_line_has_the_request_id_as_a_field() -> None:
    out = io.StringIO()
    logging.set_up(stream=out, json_lines=True)
    with serving("req-1"):
        structlog.get_logger("a").info("one")
    line = json.loads(out.getvalue())
    assert (line["event"], line["request_id"]) == ("one", "req-1")
