# SPDX-License-Identifier: Apache-2.0
"""Every sort key, in both directions, page by page: the pages join to the whole list, whatever the key's type is and
whichever records have no value for it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kilonova.api.compute.servers.listing import SORT_KEYS
from kilonova.db.engine import Database
from kilonova.db.readers.servers import SORTABLE, ServerQuery, page
from kilonova.db.writers import instances as writers
from kilonova.objects.ids import FlavorId, HostName, ImageId
from kilonova.objects.states import PowerState, TaskState, VmState
from tests.make import NOW, database, flavor, image_ref, instance, run

COUNT = 5
MINUTE = timedelta(minutes=1)
VALUES: dict[str, Callable[[int], Any]] = {
    "created_at": lambda n: NOW + n % 3 * MINUTE,
    "updated_at": lambda n: NOW - n % 3 * MINUTE,
    "launched_at": lambda n: (None, NOW, NOW - MINUTE)[n % 3],
    "terminated_at": lambda n: (NOW, None)[n % 2],
    "name": lambda n: ("b", "a", "ä")[n % 3],
    "hostname": lambda n: ("h1", "h0")[n % 2],
    "description": lambda n: (None, "text", "")[n % 3],
    "host": lambda n: (None, HostName("h1"), HostName("h0"))[n % 3],
    "node": lambda n: ("n0", None)[n % 2],
    "availability_zone": lambda n: (None, "nova")[n % 2],
    "key_name": lambda n: ("key", None, "another")[n % 3],
    "vm_state": lambda n: (VmState.ACTIVE, VmState.ERROR)[n % 2],
    "task_state": lambda n: (None, TaskState.REBOOTING)[n % 2],
    "power_state": lambda n: (PowerState.RUNNING, PowerState.NOSTATE)[n % 2],
    "project_id": lambda n: ("p2", "p1")[n % 2],
    "user_id": lambda n: ("u2", "u1")[n % 2],
    "launch_index": lambda n: (0, 11, 2)[n % 3],
    "config_drive": lambda n: n % 2 == 0,
    "image": lambda n: replace(image_ref(), id=ImageId(f"image-{n % 2}")),
    "flavor": lambda n: replace(flavor(), id=FlavorId(f"{n % 2}")),
    "access_ip_v4": lambda n: (None, "10.0.0.9")[n % 2],
    "access_ip_v6": lambda n: ("::1", None)[n % 2],
    "disk_config": lambda n: ("MANUAL", "AUTO")[n % 2],
    "locked_by": lambda n: ("owner", None, "admin")[n % 3],
}
"""Some values of each field, with the same more than once and with none where that can be."""


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Database:
    found = database(Path(tmp_path_factory.mktemp("paging")))
    for at in range(COUNT):
        fields = {name: value(at) for name, value in VALUES.items()}
        run(found.write(writers.insert, instance(f"0000000{at}-0000-4000-8000-000000000000", **fields)))
    return found


def test_every_column_that_lists_are_sorted_by_has_values_here() -> None:
    assert {f"{name}_id" if name in ("image", "flavor") else name for name in VALUES} | {"id"} == SORTABLE
    assert {column for column in SORT_KEYS.values() if column is not None} == SORTABLE


@pytest.mark.parametrize("descending", [False, True], ids=["asc", "desc"])
@pytest.mark.parametrize("key", sorted(SORTABLE))
@pytest.mark.parametrize("second", [(), (("config_drive", False),), (("task_state", True),)], ids=str)
def test_pages_join_to_the_whole_list(
    db: Database, key: str, descending: bool, second: tuple[tuple[str, bool], ...]
) -> None:
    def found(**more: Any) -> list[str]:
        query = ServerQuery(sort=((key, descending), *second), **more)
        return [one.id for one in run(db.read(page, query))]

    whole = found()
    assert len(set(whole)) == COUNT
    for limit in (1, 2):
        pages: list[str] = []
        while some := found(limit=limit, marker=pages[-1] if pages else None):
            pages += some
        assert pages == whole
