# SPDX-License-Identifier: Apache-2.0
"""The same guest by bare libvirt: what a boot and a deletion cost without any service around them."""

import json
import os
import re
import shutil
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import libvirt

from kilonova.virt.libvirt.xml.domain import METADATA_URI
from lab.common import run

FOREIGN_URI = "urn:example:copy:1"
"""Marks a copy, so that the service does not take it for its own."""
TOOL_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Template:
    """A guest of the service's, as far as a copy needs it.  `size` is the overlay's, in bytes."""

    xml: str
    instance_id: str
    files: Path
    base: str
    base_format: str
    size: int
    config_drive: bytes | None


def take_template(conn: libvirt.virConnect, instance_id: str, files: Path) -> Template:
    """Reads a running guest of the service's whose files are in the directory `files`.  Raises LabError."""
    domain = conn.lookupByUUIDString(instance_id)
    output = run(["qemu-img", "info", "-U", "--output=json", files / "disk"], timeout=TOOL_LIMIT_S)
    info = json.loads(output)
    config_drive = files / "disk.config"
    return Template(
        xml=domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE),
        instance_id=instance_id,
        files=files,
        base=info["backing-filename"],
        base_format=info["backing-filename-format"],
        size=info["virtual-size"],
        config_drive=config_drive.read_bytes() if config_drive.exists() else None,
    )


def another(template: Template, new_id: str, files: Path) -> str:
    """The same XML for another guest: id, name, paths, MAC addresses, and a mark that is not the service's."""
    xml = template.xml.replace(str(template.files), str(files)).replace(template.instance_id, new_id)
    macs = set(re.findall(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", xml))
    for number, mac in enumerate(sorted(macs)):
        xml = xml.replace(mac, f"52:54:00:{new_id[0:2]}:{new_id[2:4]}:{number:02x}")
    return xml.replace(METADATA_URI, FOREIGN_URI)


class BareGuest:
    """One copy of a template, with its files in a directory of its own below `root`."""

    def __init__(self, conn: libvirt.virConnect, template: Template, root: Path, owner: tuple[int, int]) -> None:
        self._conn, self._template, self._owner = conn, template, owner
        self.id = str(uuid.uuid4())
        self.files = root / self.id
        self.files.mkdir(mode=0o711)
        os.chown(self.files, *owner)
        if template.config_drive is not None:
            self._give(self.files / "disk.config", template.config_drive)
        self._xml = another(template, self.id, self.files)

    def _give(self, path: Path, data: bytes) -> None:
        path.write_bytes(data)
        os.chown(path, *self._owner)

    def boot(self) -> float:
        """Overlay, define, start; milliseconds."""
        template, disk = self._template, self.files / "disk"
        words = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", template.base_format, "-b", template.base]
        begun = time.perf_counter()
        subprocess.run([*words, str(disk), str(template.size)], check=True, timeout=TOOL_LIMIT_S)
        os.chown(disk, *self._owner)
        self._conn.defineXML(self._xml).create()
        return (time.perf_counter() - begun) * 1000

    def delete(self) -> float:
        """Destroy, undefine, unlink; milliseconds."""
        begun = time.perf_counter()
        domain = self._conn.lookupByUUIDString(self.id)
        domain.destroy()
        domain.undefine()
        shutil.rmtree(self.files)
        return (time.perf_counter() - begun) * 1000

    def discard(self) -> None:
        """Leave no domain behind, whatever happened."""
        try:
            domain = self._conn.lookupByUUIDString(self.id)
            if domain.isActive():
                domain.destroy()
            domain.undefine()
        except libvirt.libvirtError:
            return  # there is none, or the daemon ends with it
