# SPDX-License-Identifier: Apache-2.0
"""The reader behind lists of servers: filters, order, pages."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.engine import Database
from kilonova.db.readers.instances import get_known
from kilonova.db.readers.servers import (
    SORTABLE,
    ServerQuery,
    TagFilter,
    host_statuses,
    page,
)
from kilonova.db.writers import instances as writers
from kilonova.objects.ids import HostName, ImageId, InstanceId
from kilonova.objects.instance import Address
from kilonova.objects.states import PowerState, TaskState, VmState
from kilonova.objects.statuses import StatusMeaning
from tests.make import NOW, database, flavor, image_ref, instance, run

Names = Callable[..., list[str]]


def populate(db: Database) -> None:
    address = Address("net", "10.0.0.5", "fa:16:3e:00:00:01", 24, "10.0.0.1")
    records: list[dict[str, Any]] = [
        {"name": "web-1", "tags": ("red", "big"), "vm_state": VmState.ACTIVE, "power_state": PowerState.RUNNING},
        {"name": "web-2", "tags": ("red",), "vm_state": VmState.ACTIVE, "task_state": TaskState.REBOOTING},
        {"name": "db-1", "host": HostName("h1"), "addresses": (address,), "vm_state": VmState.STOPPED},
        {"name": "db.2", "image": replace(image_ref(), id=ImageId("image-2")), "flavor": replace(flavor(), vcpus=8)},
        {"name": "other", "project_id": "p2"},
        {"name": "gone"},
    ]
    for at, record in enumerate(records):
        when = NOW + timedelta(minutes=at)
        made = instance(f"0000000{at}-0000-4000-8000-000000000000", created_at=when, updated_at=when, **record)
        run(db.write(writers.insert, made))
        if made.name == "gone":
            late = NOW + timedelta(hours=1)
            run(db.write(writers.update, made.id, late, deleted_at=late, vm_state=VmState.DELETED))


@pytest.fixture
def names(tmp_path: Path) -> Names:
    db = database(tmp_path)
    populate(db)

    def of(**filters: Any) -> list[str]:
        query = ServerQuery(**{"project_id": "p1", **filters})
        return [found.name for found in run(db.read(page, query))]

    return of


def test_newest_first_of_one_project_or_of_all(names: Names) -> None:
    assert names() == ["db.2", "db-1", "web-2", "web-1"]
    assert names(project_id=None) == ["other", "db.2", "db-1", "web-2", "web-1"]
    assert names(project_id="p3") == []


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"name": "web"}, ["web-2", "web-1"]),
        ({"name": "^web-1$"}, ["web-1"]),
        ({"name": "^db.2$"}, ["db.2"]),
        ({"name": r"^db\.2$"}, ["db.2"]),
        ({"name": "^b"}, []),
        ({"ip": "10.0.0"}, ["db-1"]),
        ({"ip": "^10.0.0.6$"}, []),
        ({"image_id": "image-2"}, ["db.2"]),
        ({"flavor_id": "1"}, ["db.2", "db-1", "web-2", "web-1"]),
        ({"flavor_id": "2"}, []),
        ({"equals": {"host": "h1"}}, ["db-1"]),
        ({"equals": {"vm_state": "active", "id": "00000000-0000-4000-8000-000000000000"}}, ["web-1"]),
        ({"tags": TagFilter(every=frozenset({"red", "big"}))}, ["web-1"]),
        ({"tags": TagFilter(any=frozenset({"big", "blue"}))}, ["web-1"]),
        ({"tags": TagFilter(not_any=frozenset({"red"}))}, ["db.2", "db-1"]),
        ({"tags": TagFilter(not_every=frozenset({"red", "big"})), "name": "web"}, ["web-2"]),
        ({"changed_since": NOW + timedelta(minutes=2)}, ["db.2", "db-1"]),
        ({"changed_since": NOW + timedelta(minutes=2), "deleted": None}, ["gone", "db.2", "db-1"]),
        ({"changed_before": NOW + timedelta(minutes=1)}, ["web-2", "web-1"]),
        ({"deleted": True}, ["gone"]),
        ({"statuses": ()}, []),
        ({"statuses": (StatusMeaning(frozenset({VmState.ACTIVE})),)}, ["web-2", "web-1"]),
        (
            {"statuses": (StatusMeaning(frozenset({VmState.ACTIVE}), but_not=frozenset({TaskState.REBOOTING})),)},
            ["web-1"],
        ),
        ({"statuses": (StatusMeaning(frozenset(VmState), frozenset({TaskState.REBOOTING})),)}, ["web-2"]),
        ({"statuses": (StatusMeaning(frozenset({VmState.ACTIVE}), unknown=True),)}, ["web-2"]),
        ({"statuses": (StatusMeaning(frozenset({VmState.ACTIVE}), unknown=False),)}, ["web-1"]),
    ],
)
def test_filters(names: Names, filters: dict[str, Any], expected: list[str]) -> None:
    assert names(**filters) == expected


def test_sorting_by_anything(names: Names) -> None:
    assert names(sort=(("name", False),)) == ["db-1", "db.2", "web-1", "web-2"]
    assert names(sort=(("host", True),)) == ["db-1", "db.2", "web-2", "web-1"]
    for key in SORTABLE:
        for descending in (True, False):
            assert sorted(names(sort=((key, descending),))) == ["db-1", "db.2", "web-1", "web-2"]


@pytest.mark.parametrize("sort", [(), (("name", False),), (("host", False),), (("launched_at", True),)])
@pytest.mark.parametrize("name", [None, "-|[.]", "."])
def test_pages_join_to_the_whole(
    names: Names, tmp_path: Path, sort: tuple[tuple[str, bool], ...], name: str | None
) -> None:
    whole = names(sort=sort, name=name)
    ids = {"web-1": 0, "web-2": 1, "db-1": 2, "db.2": 3}
    seen: list[str] = []
    marker: str | None = None
    while found := names(sort=sort, name=name, limit=1, marker=marker):
        seen += found
        marker = f"0000000{ids[found[-1]]}-0000-4000-8000-000000000000"
    assert seen == whole
    assert len(whole) == 4


def test_limits_and_markers(names: Names) -> None:
    assert names(limit=0) == []
    assert names(name="web", limit=1) == ["web-2"]
    for marker in ("unknown", "00000004-0000-4000-8000-000000000000"):  # the second is another project's
        with pytest.raises(InvalidInput, match="marker"):
            names(marker=marker)
    with pytest.raises(InvalidInput, match="regular expression"):
        names(name="(")


def test_more_than_the_database_takes_in_one_statement(tmp_path: Path) -> None:
    db = database(tmp_path)
    for at in range(1100):
        run(db.write(writers.insert, instance(f"{at:08}-0000-4000-8000-000000000000", name=f"n{at % 7}")))
    found = run(db.read(page, ServerQuery(name="n[0-6]", limit=1050)))
    assert len(found) == 1050
    assert [one.id for one in found] == sorted((one.id for one in found), reverse=True)


def test_deleted_instances_can_be_read_on_purpose(tmp_path: Path) -> None:
    db = database(tmp_path)
    populate(db)
    gone = InstanceId("00000005-0000-4000-8000-000000000000")
    assert run(db.read(get_known, gone, "p1"))[0].name == "gone"
    with pytest.raises(NotFound):
        run(db.read(get_known, gone, "p2"))
    assert run(db.read(host_statuses, {HostName("h1")})) == {}
