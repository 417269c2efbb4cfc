# SPDX-License-Identifier: Apache-2.0
"""The files of the image store, and its upkeep by the code that ships.

The store does not report itself, so that hosts write its files themselves, as in the one box: the upkeep removes files
and checks them, and leaves the records of images alone.
"""

from pathlib import Path

from kilonova.api.image.fleet_store import FleetStore, StoreIdentity, StoreParts
from kilonova.api.image.upkeep import Upkeep
from kilonova.base.metrics import Metrics
from kilonova.base.tasks import Supervisor
from kilonova.db.engine import Database
from kilonova.images.client import StoreClient
from kilonova.images.store import ID_FILE, ImageStore
from kilonova.rpcapi.caller import Caller
from tests.simulation.virtual import SimClock

UPKEEP_S = 60.0
"""The time between two rounds."""


async def keep_up(store: ImageStore, db: Database, rpc: Caller, clock: SimClock, tasks: Supervisor) -> None:
    """Begin the upkeep of the store."""
    identity = StoreIdentity(await store.identify("store"), "api", "http://sim", copies=1)
    parts = StoreParts(store, db, rpc, StoreClient(), clock, Metrics())
    upkeep = Upkeep(FleetStore(identity, parts, max_bytes=1 << 30), parts, UPKEEP_S)
    tasks.periodic("image upkeep", UPKEEP_S, upkeep.run)


def image_files(state: Path) -> list[Path]:
    """The files of images, complete or not, by name."""
    return sorted(path for path in (state / "images").iterdir() if path.is_file() and path.name != ID_FILE)
