# SPDX-License-Identifier: Apache-2.0
"""The files of the image cache that may be bases of disks on this host. There are three sources, and a file that any of
them names is in use: our records, the headers of all disks in guests' directories (copies that a resize keeps among
them), and libvirt's definitions of every domain, ours or not.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import libvirt
from lxml import etree

from kilonova.base.errors import HypervisorError
from kilonova.base.files import open_plain
from kilonova.virt.libvirt.disks.qcow2 import read_header

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)
MAGIC = b"QFI\xfb"


def in_definitions(conn: libvirt.virConnect) -> frozenset[str]:
    """Every file that a domain names. One libvirt call, which needs no answer of a guest's QEMU."""
    found: set[str] = set()
    for domain in conn.listAllDomains():
        for flags in (0, libvirt.VIR_DOMAIN_XML_INACTIVE):
            try:
                root = etree.fromstring(domain.XMLDesc(flags), _PARSER)
            except libvirt.libvirtError as exc:
                if exc.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
                    raise
                continue  # it was removed meanwhile
            found.update(source.get("file", "") for source in root.iterfind(".//source[@file]"))
    return frozenset(found)


def in_files(instances: Path, records: Path) -> frozenset[str]:
    """The files that records and headers name. Blocks; raises HypervisorError for a disk that cannot be read and has no
    record: its base is unknown then."""
    known = dict(_recorded(records))
    found = {path for disks in known.values() for paths in disks.values() for path in paths}
    for disk in _disks(instances):
        try:
            with open_plain(disk) as file:
                if file.read(4) != MAGIC:
                    continue
                file.seek(0)
                backing = read_header(file).backing
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as exc:
            if disk.name not in known.get(disk.parent.name, {}):
                raise HypervisorError(f"The base of {disk.name} of guest {disk.parent.name} is not known.") from exc
            continue
        if backing is not None:
            found.add(os.path.join(disk.parent, backing))
    return frozenset(found)


def _recorded(records: Path) -> Iterator[tuple[str, dict[str, list[str]]]]:
    for file in records.glob("*.json"):
        try:
            disks = json.loads(file.read_bytes())
        except FileNotFoundError:
            continue
        yield file.stem, {name: [path for path, _ in bases] for name, bases in disks.items()}


def _disks(instances: Path) -> Iterator[Path]:
    for directory in instances.iterdir() if instances.is_dir() else ():
        if directory.is_dir() and directory.name != "_base":
            yield from directory.glob("disk*")
            yield from directory.glob("snapshot*")
