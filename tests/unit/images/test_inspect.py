# SPDX-License-Identifier: Apache-2.0
"""Images that are what they say, and all the kinds that are not."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from kilonova.base.errors import ImageUnacceptable
from kilonova.images.inspect import MAX_VIRTUAL_BYTES, inspect
from lab.counting import cannot_run


@pytest.fixture(autouse=True)
def _needs_qemu_img() -> None:
    if shutil.which("qemu-img") is None:
        cannot_run("qemu-img is not installed: make setup")


MIB = 1 << 20


def made(path: Path, kind: str, size: str = "10M", *options: str) -> Path:
    subprocess.run(["qemu-img", "create", "-q", "-f", kind, *options, path, size], check=True, capture_output=True)
    return path


def refusal(path: Path, declared: str) -> str:
    with pytest.raises(ImageUnacceptable) as caught:
        inspect(path, declared)
    assert caught.value.message.endswith(".")
    return caught.value.message


def patched(path: Path, offset: int, data: bytes) -> Path:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
    return path


@pytest.mark.parametrize("compat", ["0.10", "1.1"])
def test_a_good_qcow2_has_the_size_of_its_disk(tmp_path: Path, compat: str) -> None:
    assert inspect(made(tmp_path / "good", "qcow2", "10M", "-o", f"compat={compat}"), "qcow2") == 10 * MIB


def test_a_good_raw_has_the_size_of_its_file(tmp_path: Path) -> None:
    assert inspect(made(tmp_path / "good", "raw"), "raw") == 10 * MIB


def test_a_raw_disk_with_a_partition_table_is_raw(tmp_path: Path) -> None:
    disk = patched(made(tmp_path / "disk", "raw"), 510, b"\x55\xaa")
    assert inspect(disk, "raw") == 10 * MIB


@pytest.mark.parametrize("kind", ["qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed"])
def test_another_format_declared_raw_is_refused_by_its_name(tmp_path: Path, kind: str) -> None:
    message = refusal(made(tmp_path / "lie", kind), "raw")
    assert "declared raw" in message
    assert {"vpc": "vhd"}.get(kind, kind) in message


@pytest.mark.parametrize("kind", ["raw", "vmdk"])
def test_another_format_declared_qcow2_is_refused(tmp_path: Path, kind: str) -> None:
    assert "declared qcow2" in refusal(made(tmp_path / "lie", kind), "qcow2")


def test_other_formats_cannot_be_declared(tmp_path: Path) -> None:
    assert "vmdk is not supported" in refusal(made(tmp_path / "x", "vmdk"), "vmdk")


def test_a_backing_file_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "base", "qcow2")
    top = made(tmp_path / "top", "qcow2", "10M", "-b", str(tmp_path / "base"), "-F", "qcow2")
    assert "backing file" in refusal(top, "qcow2")


def test_a_data_file_is_refused(tmp_path: Path) -> None:
    image = made(tmp_path / "image", "qcow2", "10M", "-o", f"data_file={tmp_path / 'data'}")
    assert "another file" in refusal(image, "qcow2")


def test_unknown_features_are_refused(tmp_path: Path) -> None:
    assert "not known" in refusal(made(tmp_path / "image", "qcow2", "10M", "-o", "extended_l2=on"), "qcow2")


def test_two_formats_at_once_are_refused(tmp_path: Path) -> None:
    both = patched(made(tmp_path / "both", "qcow2"), 510, b"\x55\xaa")
    assert "several formats" in refusal(both, "qcow2")


def test_an_encrypted_image_is_refused(tmp_path: Path) -> None:
    assert "encrypted" in refusal(patched(made(tmp_path / "image", "qcow2"), 32, struct.pack(">I", 1)), "qcow2")


def test_absurd_sizes_are_refused(tmp_path: Path) -> None:
    assert str(MAX_VIRTUAL_BYTES) in refusal(made(tmp_path / "huge", "qcow2", "63T"), "qcow2")
    assert "less than one sector" in refusal(made(tmp_path / "none", "qcow2", "0"), "qcow2")
    (tmp_path / "empty").touch()
    assert "less than one sector" in refusal(tmp_path / "empty", "raw")
    liar = patched(made(tmp_path / "liar", "qcow2"), 24, struct.pack(">Q", 1 << 43))
    assert "too small for its virtual size" in refusal(liar, "qcow2")


def test_cut_off_images_are_refused(tmp_path: Path) -> None:
    image = made(tmp_path / "image", "qcow2")
    with image.open("r+b") as file:
        file.truncate(70_000)
    assert "truncated" in refusal(image, "qcow2")
    with image.open("r+b") as file:
        file.truncate(100)
    refusal(image, "qcow2")
    refusal(image, "raw")


def test_nonsense_cluster_sizes_are_refused(tmp_path: Path) -> None:
    assert "cluster size" in refusal(patched(made(tmp_path / "image", "qcow2"), 20, struct.pack(">I", 3)), "qcow2")
