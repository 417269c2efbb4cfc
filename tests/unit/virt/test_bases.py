# SPDX-License-Identifier: Apache-2.0
"""What disks lie on, by their headers and by the records; what cannot be known is not guessed."""

import json
import subprocess
from pathlib import Path

import pytest

from kilonova.base.errors import HypervisorError
from kilonova.virt.libvirt.disks import bases


def overlay(directory: Path, name: str, base: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    disk = directory / name
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(base), str(disk), "1M"]
    subprocess.run(argv, check=True, timeout=30)
    return disk


def test_headers_of_copies_and_records_name_what_is_in_use(tmp_path: Path) -> None:
    instances, records = tmp_path / "instances", tmp_path / "chains"
    records.mkdir()
    files = [instances / "_base" / f"{n}.raw" for n in range(3)]
    files[0].parent.mkdir(parents=True)
    for file in files:
        file.write_bytes(bytes(1 << 20))
    overlay(instances / "g1", "disk", files[0])
    overlay(instances / "g1", "disk.kept-a", files[1])
    (records / "g2.json").write_text(json.dumps({"disk": [[str(files[2]), "raw"]]}))
    assert bases.in_files(instances, records) == {str(file) for file in files}


def test_a_disk_that_says_nothing_is_in_nobodys_way_only_if_it_is_recorded(tmp_path: Path) -> None:
    instances, records = tmp_path / "instances", tmp_path / "chains"
    records.mkdir()
    (instances / "g1").mkdir(parents=True)
    (instances / "g1" / "disk").write_bytes(bases.MAGIC + bytes(8))  # a header that its guest has broken
    with pytest.raises(HypervisorError, match="base of disk of guest g1 is not known"):
        bases.in_files(instances, records)
    (records / "g1.json").write_text(json.dumps({"disk": [["/base", "raw"]]}))
    assert bases.in_files(instances, records) == {"/base"}
