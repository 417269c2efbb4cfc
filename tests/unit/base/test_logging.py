# SPDX-License-Identifier: Apache-2.0
"""Log calls: a line that cannot be made or written is the log's loss, and nobody else's."""

import io
import os
from collections.abc import Generator

import pytest
import structlog

from kilonova.base import logging
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
    assert out.getvalue().count("could not be made (RuntimeError): a machine was seen") == 2


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
