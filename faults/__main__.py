# SPDX-License-Identifier: Apache-2.0
"""`python -m faults [--box | --fleet | --many | --only NAME,...] [--quick]`: make each fault on private daemons, and
print what the service did.

A whole run of the faults of a box is kept in docs/faults.md, one of those of a fleet in docs/fleet-faults.md, one of
those with many guests, which only `--many` runs, in docs/frozen-guests.md.  Exit status 0 when every row was measured,
1 when one is missing; a missed bound is printed as missed and does not fail the run.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.run import Bench
from faults import absent, daemon, disks, edge, fleet, guests, many
from faults.table import Row, markdown, samples, text
from lab.common import TOP, end_processes, processes_naming

BOX: Mapping[str, Callable[[Bench], Row]] = {
    "libvirtd-frozen": daemon.frozen,
    "libvirtd-killed": daemon.killed,
    "qemu-frozen": guests.frozen,
    "unreachable": absent.unreachable,
    "short-outages": absent.short_outage,
    "restarts": daemon.restarts,
    "events": guests.events,
    "database-locked": edge.database_locked,
    "log-unwritable": edge.log_unwritable,
    "disk-gone": disks.gone,
    "disk-moved": disks.moved,
}
FLEET: Mapping[str, Callable[[Bench], Row]] = {
    "fleet-compute": fleet.compute,
    "fleet-conductor": fleet.conductor,
    "fleet-api": fleet.api,
    "fleet-nats": fleet.nats,
    "fleet-postgres": fleet.postgres,
}
MANY: Mapping[str, Callable[[Bench], Row]] = {"qemus-frozen": many.many_frozen}
USUAL = {**BOX, **FLEET}
ROWS = {**USUAL, **MANY}
PAGES = {"docs/faults.md": BOX, "docs/fleet-faults.md": FLEET, "docs/frozen-guests.md": MANY}


def measure(name: str, *, quick: bool) -> Row:
    """One row; when it could not be measured, it has the reason."""
    before = os.getloadavg()[0]
    try:
        with bench_of(quick=quick) as bench:
            bench.say(name)
            row = ROWS[name](bench)
    except Exception as exc:  # one broken row must not end the others
        traceback.print_exc()
        row = Row(name, "It could not be measured.", missing=f"{type(exc).__name__}: {exc}")
    row.load = (before, os.getloadavg()[0])
    print(text([row]), flush=True)
    return row


@contextmanager
def bench_of(*, quick: bool) -> Generator[Bench]:
    """A scratch directory, its name short: QEMU's sockets lie deep in it, and may have 107 characters.  Each process
    that still names it at the end is ended."""
    scratch = Path(tempfile.mkdtemp(prefix="k", dir="/tmp"))
    scratch.chmod(0o711)
    try:
        yield Bench(scratch, quick)
    finally:
        end_processes(
            processes_naming(f"{scratch}/"), ours=lambda pid: pid in processes_naming(f"{scratch}/"), grace=5.0
        )
        shutil.rmtree(scratch, ignore_errors=True)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(prog="make faults", description="Make faults, and print what the service does.")
    parser.add_argument("--only", default="", metavar="NAME,...", help=f"of {', '.join(ROWS)}; nothing is kept")
    parser.add_argument("--box", action="store_const", dest="rows", const=BOX, default=USUAL, help="those of a box")
    parser.add_argument("--fleet", action="store_const", dest="rows", const=FLEET, help="those of a fleet")
    parser.add_argument(
        "--many", action="store_const", dest="rows", const=MANY, help="100 guests: 16 GiB of memory, 20 minutes"
    )
    parser.add_argument("--quick", action="store_true", help="fewer samples, guests and restarts; nothing is kept")
    arguments = parser.parse_args()
    names = [name for name in arguments.only.split(",") if name] or list(arguments.rows)
    if unknown := [name for name in names if name not in ROWS]:
        parser.error(f"there is no row {unknown[0]}; there are: {', '.join(ROWS)}")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # what was started is ended, as by Ctrl-C
    rows = {name: measure(name, quick=arguments.quick) for name in names}
    if not arguments.quick and not arguments.only:
        _keep(rows)
    print(f"faults: {sum(row.met for row in rows.values())} of {len(rows)} rows met")
    return 1 if any(row.missing for row in rows.values()) else 0


def _keep(rows: Mapping[str, Row]) -> None:
    for page, names in PAGES.items():
        if found := [rows[name] for name in names if name in rows]:
            (TOP / page).write_text(markdown(found))
            (TOP / page).with_suffix(".samples.json").write_text(samples(found))


if __name__ == "__main__":
    sys.exit(main())
