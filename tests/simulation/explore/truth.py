# SPDX-License-Identifier: Apache-2.0
"""What is true at the end of a run, read beside the service: database, machines, files, journal, history."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kilonova.objects.states import PowerState
from tests.simulation.explore import errors
from tests.simulation.explore.faults import Scene
from tests.simulation.explore.history import Exchange
from tests.simulation.explore.image_files import image_files
from tests.simulation.explore.journal import Change
from tests.simulation.explore.ledger import Fetching, Moment

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest on a machine that has power or may have it again.  `parts`: not all of it was removed."""

    machine: str
    id: str
    power: PowerState
    saved: bool
    defined: bool
    rescued: bool
    flavor: str
    kept: bool = False
    """Whether the disk of before a resize is kept."""
    snapshots: int = 0
    disk: bool = True


@dataclass
class Truth:
    """`servers`, `actions` and the other rows are those of the tables.  `gone` are hosts that never return."""

    servers: Sequence[Row] = ()
    actions: Sequence[Row] = ()
    nodes: Sequence[Row] = ()
    usages: Sequence[Row] = ()
    addresses: Sequence[Row] = ()
    images: Sequence[Row] = ()
    files: frozenset[str] = frozenset()
    guests: Sequence[Guest] = ()
    changes: Sequence[Change] = ()
    exchanges: Sequence[Exchange] = ()
    twice: Sequence[str] = ()
    starts: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """How often a guest started with one start token."""
    ends: Mapping[str, int] = field(default_factory=dict)
    """How often a guest ended without a request."""
    moments: Mapping[tuple[str, str], Sequence[Moment]] = field(default_factory=dict)
    """The guests of machines at all times."""
    fetches: Mapping[str, Fetching] = field(default_factory=dict)
    """What hosts requested under each attempt."""
    calls: Sequence[str] = ()
    """Calls of hypervisors that break a rule."""
    defects: Sequence[str] = ()
    tombstones: frozenset[tuple[str, str]] = frozenset()
    """Hosts that were given up, with the servers of which they may have copies."""
    buried: frozenset[tuple[str, str]] = frozenset()
    """The same, of all times; with an empty server for each host."""
    lost_guests: frozenset[str] = frozenset()
    """Those that another tool has removed."""
    hung: frozenset[str] = frozenset()
    """Those with a call that did not return in time."""
    gone: frozenset[str] = frozenset()
    vanished: bool = False
    jumped: bool = False
    """Whether the files of images, or the clocks, were changed behind the service's back."""

    @property
    def living(self) -> list[Row]:
        """The servers that are not deleted."""
        return [row for row in self.servers if row["deleted_at"] is None]


_JSON = frozenset({"flavor", "old_flavor", "new_flavor", "image", "addresses", "body", "legs", "shelved_image"})


def _row(row: Any) -> Row:
    cells = dict(row)
    return {name: json.loads(cell) if name in _JSON and cell else cell for name, cell in cells.items()}


def truth_of(scene: Scene) -> Truth:
    """Everything that the invariants compare."""
    cloud, rows = scene.cloud, scene.cloud.observer.rows
    machines = list(cloud.hosts.values())
    guests = [
        Guest(
            host.name,
            id_,
            guest.power,
            guest.saved,
            guest.definition is not None,
            guest.definition is not None and guest.definition.rescue_image is not None,
            "" if guest.definition is None else guest.definition.flavor.id,
            guest.kept_disk is not None,
            len(guest.snapshots),
            guest.base is not None and not guest.disk_gone,
        )
        for host in machines
        if not host.lost
        for id_, guest in host.machine.guests.items()
    ]
    return Truth(
        servers=[_row(row) for row in rows("SELECT * FROM instances ORDER BY id")],
        actions=[_row(row) for row in rows("SELECT * FROM actions ORDER BY started_at, id")],
        nodes=[_row(row) for row in rows("SELECT * FROM compute_nodes ORDER BY host")],
        usages=[_row(row) for row in rows("SELECT * FROM quota_usages")],
        addresses=[_row(row) for row in rows("SELECT * FROM addresses")],
        images=[_row(row) for row in rows("SELECT * FROM images")],
        files=frozenset(path.name for path in image_files(cloud.state)),
        guests=guests,
        changes=cloud.observer.changes(),
        exchanges=scene.history.exchanges,
        twice=cloud.ledger.twice,
        starts=cloud.ledger.started,
        ends=cloud.ledger.ended,
        moments=cloud.ledger.moments,
        fetches=cloud.ledger.fetches,
        calls=[*(text for calls in cloud.calls for text in calls.all()), *cloud.work.breaches],
        defects=[*cloud.defects, *errors.unexpected],
        tombstones=frozenset((row["host"], row["instance_id"]) for row in rows("SELECT * FROM tombstones")),
        buried=frozenset(cloud.buried),
        lost_guests=frozenset(cloud.vanished),
        hung=frozenset(cloud.weather.hung),
        gone=frozenset(host.name for host in machines if host.lost),
        vanished=any("vanishes" in text for _, text in scene.history.events),
        jumped=any(text.startswith("all clocks jump") for _, text in scene.history.events),
    )


def says_what_it_left(message: str | None) -> bool:
    """Whether the message of an action reports that something of it stays."""
    return any(text in (message or "") for text in ("could not be removed", "was not undone"))
