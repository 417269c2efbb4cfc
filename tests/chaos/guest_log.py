# SPDX-License-Identifier: Apache-2.0
"""Reads what the hosts of a chaos run wrote about their guests (see driver)."""

import json
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kilonova.objects.ids import InstanceId
from tests.simulation.explore.ledger import Ledger


def note_power_lost(path: Path, host: str) -> None:
    """No guest lives on the machine of the host any more."""
    line = json.dumps({"at": time.monotonic(), "host": host, "what": "all", "guests": []})
    with path.open("a") as log:
        log.write(f"{line}\n")


def ledger_of(path: Path) -> Ledger:
    """The ledger of a whole log."""
    text = path.read_text() if path.exists() else ""
    return ledger(json.loads(line) for line in text.splitlines())


def ledger(lines: Iterable[Mapping[str, Any]]) -> Ledger:
    """The ledger of these lines."""
    made = Ledger(lambda: 0.0)
    for line in lines:
        made.now = lambda at=line["at"]: at
        host, guest = line["host"], InstanceId(line.get("guest", ""))
        match line["what"]:
            case "live":
                made.lives(host, guest)
            case "off":
                made.is_off(host, guest)
            case "start":
                made.started[guest, line["token"]] += 1
            case _:
                _all(made, host, {InstanceId(one) for one in line["guests"]})
    return made


def _all(made: Ledger, host: str, live: set[InstanceId]) -> None:
    """A process of the host has read its machine: these guests live there, and no others."""
    for guest in set(made.live) - live:
        made.is_off(host, guest)
    for guest in live:
        made.lives(host, guest)
