# SPDX-License-Identifier: Apache-2.0
"""docs/figures.md: the newest whole run, for people."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lab.common import TOP

PAGE = TOP / "docs/figures.md"

HEAD = """\
<!-- Made by `make bench`; do not edit. -->
# Figures

The results of the last complete run of `make bench`, on {cpus} CPUs ({model}), Linux {linux}, Python {python}; load
average {before:.2f} before and {after:.2f} after. Machines differ and have noise: each figure has a control of the same
run, and its raw samples are in the JSON object that the command prints. To measure one figure alone:

```sh
make bench ARGS="--only post_ms"
```

| figure | value | first target | later target | n | range | control |
|---|---|---|---|---|---|---|
"""


def write(entries: Mapping[str, Any], before: float, path: Path = PAGE) -> None:
    """Write the page of a whole run; `before` is the load average at its beginning."""
    head = HEAD.format(
        cpus=os.cpu_count(),
        model=_model(),
        linux=platform.release(),
        python=platform.python_version(),
        before=before,
        after=os.getloadavg()[0],
    )
    rows = [_row(key, shown) for key, shown in entries.items()]
    ways = [_way(key, shown) for key, shown in entries.items()]
    path.write_text("\n".join([head + "\n".join(rows), "\n## How each figure is measured\n", *ways]) + "\n")


def _row(key: str, shown: Mapping[str, Any]) -> str:
    cells = (f"`{key}`", _value(shown), _wanted(shown["target_first"]), _wanted(shown["target_then"]))
    if shown["value"] is None:
        return _table((*cells, "0", "", ""))
    samples, control = shown["samples"], shown["control"]
    spread = f"{min(samples):g} to {max(samples):g}"
    return _table((*cells, str(shown["n"]), spread, f"{control['value']:g} {control['unit']}"))


def _value(shown: Mapping[str, Any]) -> str:
    if shown["value"] is None:
        return f"**missing**: {shown['missing']}"
    verdict = ", **not met**" if shown["met_first"] is False else ""
    return f"{shown['value']:g} {shown['unit']}{verdict}"


def _wanted(target: float | None) -> str:
    return "" if target is None else f"{target:g}"


def _way(key: str, shown: Mapping[str, Any]) -> str:
    if shown["value"] is None:
        return f"- `{key}`: not measured."
    more = "".join(
        f" {one['what']}: {one['value']:g} {one['unit']} (n {one['n']})." for one in shown.get("variants", {}).values()
    )
    return f"- `{key}`: {shown['how']}. Control: {shown['control']['what']}.{more}"


def _table(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
