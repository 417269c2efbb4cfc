# SPDX-License-Identifier: Apache-2.0
"""A small sample of `make soak`: after creates and deletes a box has what it had before, and nothing more."""

from pathlib import Path
from random import Random

import pytest
from typer.testing import CliRunner

from bench.figures import CannotMeasure
from bench.soak import BEGIN, END, FULL_AFTER_S, MEASURES, Sample, Soak, judged, record, table
from kilonova.cmd.main import app

COUNT = 100


def test_creates_and_deletes_leave_nothing(tmp_path: Path) -> None:
    soak = Soak(tmp_path)
    with soak.box:
        soak.batch(COUNT)  # (threads and connections of the service begin)
        _purge(soak)
        before, rows = soak.samples[-1], soak.rows()
        soak.batch(2 * COUNT)
        _purge(soak)
        after = soak.sample()
    for name in ("descriptors", "threads", "tasks"):
        assert after[name] <= before[name], (name, soak.samples)
    left = {**soak.rows(), "instances": 0, "notifications": 0}  # (their rows stay for some time)
    assert left == {**rows, "instances": 0, "notifications": 0}
    assert {left["actions"], left["action_events"], left["placements"], left["addresses"]} == {0}
    assert not any(line.startswith("Traceback") for line in soak.box.log.read_text().splitlines())


def _purge(soak: Soak) -> None:
    done = CliRunner().invoke(app, ["db", "purge", "--before", "0", "--state-path", str(soak.box.state)])
    assert done.exit_code == 0, done.output


def samples(leak: float, noise: float) -> list[Sample]:
    """60 samples in which each of the measures grows by the part `leak` of itself in the second half."""
    random = Random(1)

    def value(at: int) -> float:
        return 200.0 * (1 + min(at, 10) / 10 + 2 * leak * at / 60 + random.gauss(0, noise))

    return [
        {"pairs": at * 100, "at_s": at * FULL_AFTER_S, **{measure.name: value(at) for measure in MEASURES}}
        for at in range(60)
    ]


def test_a_leak_is_found_under_noise_and_a_warm_up_is_none(tmp_path: Path) -> None:
    assert not any(one.grows for one in judged(samples(0.0, 0.0)))
    assert not any(one.grows for one in judged(samples(0.0, 0.01)))
    assert all(one.grows for one in judged(samples(0.15, 0.01)))
    assert "| GROWS |" in table(samples(0.15, 0.01))
    short = [{**one, "at_s": 1.0} for one in samples(0.15, 0.0)]
    assert {one.measure.name for one in judged(short)} == {"pss", "rss", "descriptors", "threads", "tasks"}
    assert "not judged: too short" in table(short)
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    record(short, page)
    assert page.read_text().startswith(f"before\n{BEGIN}\n5,900 creates")
    assert page.read_text().endswith(f"| not judged: too short |\n\n{END}\nafter\n")
    with pytest.raises(CannotMeasure):
        judged(samples(0.0, 0.0)[:4])
