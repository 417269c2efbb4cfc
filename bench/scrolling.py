# SPDX-License-Identifier: Apache-2.0
"""Frames of a long list while a wheel scrolls it."""

from collections.abc import Sequence
from itertools import chain

from playwright.sync_api import Page

from bench.figures import CannotMeasure, Figure, Series
from bench.stats import median

STEP_PX = 240
"""Of one event of the wheel: fast, but what a person does."""
SCROLLED = 0.9
"""The part of the list that a sweep must have passed."""

_BEGIN = """\
() => {
  window.benchFrames = [];
  let last = 0;
  const frame = (now) => {
    if (!window.benchFrames) return;
    if (last) benchFrames.push(now - last);
    last = now;
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}
"""
_END = "() => { const found = window.benchFrames; window.benchFrames = null; return found; }"
_PLACE = "[scrollY, document.documentElement.scrollHeight - innerHeight]"


def _sweep(page: Page) -> list[float]:
    """From the top to the end and back; the duration of each frame in ms.  Raises CannotMeasure."""
    page.bring_to_front()
    page.mouse.move(400, 400)
    _, end = page.evaluate(_PLACE)
    count = int(end / STEP_PX) + 1
    page.evaluate(_BEGIN)
    for _ in range(count):
        page.mouse.wheel(0, STEP_PX)
    reached, _ = page.evaluate(_PLACE)
    for _ in range(count):
        page.mouse.wheel(0, -STEP_PX)
    frames: list[float] = page.evaluate(_END)
    if reached < SCROLLED * end or len(frames) < count:
        raise CannotMeasure(f"The wheel came to {reached:g} of {end:g} px, in {len(frames)} frames.")
    return frames


def scroll_figure(page: Page, plain: Page, rows: int, sweeps: int) -> Figure:
    """The longest frame of a list of so many rows, in turns with a plain page."""
    found: dict[str, list[list[float]]] = {"list": [], "plain": []}
    for _ in range(sweeps):
        found["plain"].append(_sweep(plain))
        found["list"].append(_sweep(page))
    longest = _longest(found["list"])
    every = list(chain.from_iterable(found["list"]))
    return Figure(
        "scroll_frame_ms",
        longest,
        f"the longest frame while the wheel scrolls the list of {rows} servers down and up in steps of {STEP_PX} px, "
        f"by requestAnimationFrame in Chromium; a sample is a sweep, the value is the worst of all",
        Series("a plain table of 1,000 rows, in turns", (control := _longest(found["plain"])), "ms", max(control)),
        {"median": Series(f"the median of {len(every)} frames", [median(every)], "ms")},
        given=max(longest),
    )


def _longest(sweeps: Sequence[Sequence[float]]) -> list[float]:
    return [max(frames) for frames in sweeps]
