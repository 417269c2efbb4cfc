# SPDX-License-Identifier: Apache-2.0
"""Memory that guests of others have taken, by libvirt's own test driver."""

from collections.abc import Callable, Iterator
from pathlib import Path

import libvirt
import pytest
from structlog.testing import capture_logs

from kilonova.virt.libvirt.host.others import Others, Taken, read
from kilonova.virt.libvirt.xml.domain import METADATA_URI
from tests.make import run

DOMAIN = """
<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>{memory}</memory><os><type>hvm</type></os>
<metadata><k:instance xmlns:k='{uri}'><k:id>{marked}</k:id></k:instance></metadata>
<devices><disk type='file' device='disk'><source file='{disk}'/><target dev='vda'/></disk></devices></domain>
"""


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[libvirt.virConnect]:
    node = tmp_path / "node.xml"
    node.write_text("<node/>")
    link = libvirt.open(f"test://{node}")
    yield link
    link.close()


def add(conn: libvirt.virConnect, n: int, memory: int, root: Path, *, marked: bool = True) -> libvirt.virDomain:
    """A domain that runs."""
    uuid = f"{n}" * 8 + "-1111-4111-8111-111111111111"
    mark = uuid if marked else "none"
    text = DOMAIN.format(
        name=f"n{n}", uuid=uuid, memory=memory, uri=METADATA_URI, marked=mark, disk=root / uuid / "disk"
    )
    domain = conn.defineXML(text)
    domain.create()
    return domain


def test_only_guests_of_others_are_counted(conn: libvirt.virConnect, tmp_path: Path) -> None:
    ours = tmp_path / "a"
    add(conn, 1, 1024, ours)
    assert read(conn, ours) == Taken()
    add(conn, 2, 300, ours, marked=False)  # another tool's, wherever its disk lies
    other_box = add(conn, 3, 500, tmp_path / "b")
    assert read(conn, ours) == Taken(800, 2)
    assert read(conn, tmp_path / "b") == Taken(1324, 2)
    other_box.destroy()
    assert read(conn, ours) == Taken(300, 1)


def test_a_change_is_told_once_and_nothing_is_asked_while_libvirt_is_held_up(
    conn: libvirt.virConnect, tmp_path: Path
) -> None:
    others, asked = Others(tmp_path / "a"), list[str]()

    async def ask(fn: Callable[[libvirt.virConnect], Taken]) -> Taken:
        asked.append("")
        return fn(conn)

    with capture_logs() as said:
        assert run(others.memory_mib(ask, stale=False)) == 0
        add(conn, 1, 256, tmp_path / "b")
        for held_up in (False, False, True):
            assert run(others.memory_mib(ask, stale=held_up)) == 256
    assert [line["memory_mib"] for line in said] == [256]
    assert len(asked) == 3
