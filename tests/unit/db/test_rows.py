# SPDX-License-Identifier: Apache-2.0
"""What goes into the database comes out as it was."""

from pathlib import Path

from kilonova.db.readers import instances as read
from kilonova.db.readers import servers
from kilonova.db.writers import instances as write
from kilonova.objects.instance import Address, Fault, InjectedFile
from kilonova.objects.states import PowerState, TaskState, VmState
from tests import make


def test_an_instance_with_everything_comes_back_equal(tmp_path: Path) -> None:
    full = make.instance(
        vm_state=VmState.ERROR,
        task_state=TaskState.DELETING,
        power_state=PowerState.CRASHED,
        host=make.HOST,
        node="node-1",
        availability_zone="nova",
        addresses=(Address("kilonova", "10.9.0.2", "fa:16:3e:00:00:01", 24, "10.9.0.1", ("10.9.0.1",)),),
        config_drive=True,
        key_name="k",
        key_data="ssh-ed25519 AAAA",
        user_data="aGVsbG8=",
        files=(InjectedFile("/etc/motd", "aGVsbG8="),),
        metadata={"a": "ü"},
        tags=("x", "y"),
        description="d",
        reservation_id="r-1",
        launch_index=3,
        launched_at=make.NOW,
        terminated_at=make.NOW,
        fault=Fault(500, "because", make.NOW),
    )
    db = make.database(tmp_path)
    assert make.run(db.write(write.insert, full)) is True
    assert make.run(db.write(write.insert, full)) is False
    assert make.run(db.read(read.get, full.id)) == full


def test_lists_are_newest_first_paged_and_filtered(tmp_path: Path) -> None:
    from datetime import timedelta

    db = make.database(tmp_path)
    for n in range(5):
        project = "p1" if n != 2 else "p2"
        made = make.instance(f"i{n}", name=f"web-{n}", project_id=project, created_at=make.NOW + timedelta(seconds=n))
        make.run(db.write(write.insert, made))

    def ids(**query: object) -> list[str]:
        return [i.id for i in make.run(db.read(servers.page, servers.ServerQuery(**query)))]  # type: ignore[arg-type]

    assert ids() == ["i4", "i3", "i2", "i1", "i0"]
    assert ids(project_id="p1") == ["i4", "i3", "i1", "i0"]
    assert ids(limit=2) == ["i4", "i3"]
    assert ids(limit=2, marker="i3") == ["i2", "i1"]
    assert ids(name="^web-[13]$") == ["i3", "i1"]
    assert ids(name="web", limit=2, marker="i3") == ["i2", "i1"]
    assert ids(flavor_id="1", limit=1) == ["i4"]
    assert ids(image_id="no such") == []
