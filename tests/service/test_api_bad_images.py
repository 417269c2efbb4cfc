# SPDX-License-Identifier: Apache-2.0
"""Uploads that are not what they say, or that would reach outside of themselves: each is refused with its reason, and
nothing of it is kept."""

import base64
import hashlib
import shutil
import struct
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from lab.counting import cannot_run
from tests.service.api import OCTETS, RAW, Api, message, running_api

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _needs_qemu_img() -> None:
    if shutil.which("qemu-img") is None:
        cannot_run("qemu-img is not installed: make setup")


def made(path: Path, kind: str, size: str = "10M", *options: str) -> bytes:
    subprocess.run(["qemu-img", "create", "-q", "-f", kind, *options, path, size], check=True, capture_output=True)
    return path.read_bytes()


def patched(data: bytes, offset: int, new: bytes) -> bytes:
    return data[:offset] + new + data[offset + len(new) :]


def backing(path: Path) -> bytes:
    made(path.with_name("base"), "qcow2")
    return made(path, "qcow2", "10M", "-b", "/etc/passwd", "-F", "raw", "-u")


def data_file(path: Path) -> bytes:
    return made(path, "qcow2", "10M", "-o", f"data_file={path.with_name('data')},data_file_raw=on")


def huge(path: Path) -> bytes:
    return made(path, "qcow2", "63T")


def encrypted(path: Path) -> bytes:
    return patched(made(path, "qcow2"), 32, struct.pack(">I", 1))


def liar(path: Path) -> bytes:
    """A virtual size that its tables cannot hold."""
    return patched(made(path, "qcow2"), 24, struct.pack(">Q", 1 << 43))


def cut_off(path: Path) -> bytes:
    return made(path, "qcow2")[:70_000]


def head_only(path: Path) -> bytes:
    return made(path, "qcow2")[:100]


def newer(path: Path) -> bytes:
    """A version of qcow2 that nobody knows."""
    return patched(made(path, "qcow2"), 4, struct.pack(">I", 77))


def two_at_once(path: Path) -> bytes:
    return patched(made(path, "qcow2"), 510, b"\x55\xaa")


def vmdk(path: Path) -> bytes:
    return made(path, "vmdk")


def vmdk_extents(path: Path) -> bytes:
    """A header and a descriptor whose extent is a file of the host's."""
    descriptor = b'# Disk DescriptorFile\nversion=1\ncreateType="monolithicFlat"\nRW 20480 FLAT "/etc/passwd" 0\n'
    data = made(path, "vmdk")
    at = data.index(b"# Disk DescriptorFile")
    return patched(data, at, descriptor.ljust(1024, b"\0"))


def iso(path: Path) -> bytes:
    return patched(bytes(MIB), 0x8001, b"CD001")


def luks(path: Path) -> bytes:
    return patched(bytes(MIB), 0, b"LUKS\xba\xbe\x00\x01")


def vhd(path: Path) -> bytes:
    return made(path, "vpc")


def qcow2(path: Path) -> bytes:
    return made(path, "qcow2")


def raw(path: Path) -> bytes:
    return RAW


def nothing(path: Path) -> bytes:
    return b""


@pytest.mark.parametrize(
    ("make", "declared", "words"),
    [
        (backing, "qcow2", "backing file"),
        (data_file, "qcow2", "another file"),
        (huge, "qcow2", "over the limit"),
        (liar, "qcow2", "too small for its virtual size"),
        (encrypted, "qcow2", "encrypted"),
        (cut_off, "qcow2", "truncated"),
        (head_only, "qcow2", "its bytes are raw"),
        (newer, "qcow2", "features of qcow2 that are not known"),
        (two_at_once, "qcow2", "several formats"),
        (vmdk, "qcow2", "declared qcow2, but its bytes are vmdk"),
        (raw, "qcow2", "declared qcow2"),
        (nothing, "qcow2", "declared qcow2"),
        (vmdk_extents, "raw", "declared raw, but its bytes are vmdk"),
        (qcow2, "raw", "declared raw, but its bytes are qcow2"),
        (backing, "raw", "declared raw, but its bytes are qcow2"),
        (vhd, "raw", "declared raw, but its bytes are vhd"),
        (iso, "raw", "declared raw, but its bytes are iso"),
        (luks, "raw", "declared raw, but its bytes are luks"),
    ],
)
async def test_what_is_not_what_it_says_is_refused_and_not_kept(
    api: Api, tmp_path: Path, make: Callable[[Path], bytes], declared: str, words: str
) -> None:
    image_id = await queued(api, declared)
    reply = await api.call("PUT", file_of(image_id), content=make(tmp_path / "image"), headers=OCTETS)
    assert words in message(reply, 400, "badRequest")
    await nothing_is_left(api, image_id)
    # It can be tried again, with the right bytes.
    good = made(tmp_path / "good", "qcow2") if declared == "qcow2" else RAW
    assert (await api.call("PUT", file_of(image_id), content=good, headers=OCTETS)).status_code == 204


async def test_bytes_that_are_not_those_that_were_sent(api: Api) -> None:
    image_id = await queued(api, "raw")
    digest = hashlib.md5(RAW, usedforsecurity=False)
    coded = base64.b64encode(digest.digest()).decode()

    async def put(md5: str) -> int:
        headers = {**OCTETS, "Content-MD5": md5}
        return (await api.call("PUT", file_of(image_id), content=RAW, headers=headers)).status_code

    for wrong in (base64.b64encode(bytes(16)).decode(), "0" * 32, "junk"):
        assert await put(wrong) == 400
        await nothing_is_left(api, image_id)
    assert await put(coded) == 204
    image_id = await queued(api, "raw")
    assert await put(digest.hexdigest()) == 204


async def test_more_bytes_than_an_image_may_have() -> None:
    async with running_api({("api", "max_image_bytes"): MIB}) as api:
        image_id = await queued(api, "raw")

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield RAW

        for content in (RAW * 2, pieces()):
            reply = await api.call("PUT", file_of(image_id), content=content, headers=OCTETS)
            assert message(reply, 413, "overLimit")
            await nothing_is_left(api, image_id)


@pytest.mark.parametrize("declared", ["vmdk", "vhd", "vdi", "iso", "ami", "luks", "", "QCOW2"])
async def test_formats_that_no_disk_is_made_of_cannot_be_declared(api: Api, declared: str) -> None:
    body = {"name": "x", "disk_format": declared, "container_format": "bare"}
    reply = await api.call("POST", "/image/v2/images", json=body)
    assert "not supported: use qcow2 or raw" in message(reply, 400, "badRequest")


def file_of(image_id: str) -> str:
    return f"/image/v2/images/{image_id}/file"


async def queued(api: Api, declared: str) -> str:
    body = {"name": "bad", "disk_format": declared, "container_format": "bare"}
    reply = await api.call("POST", "/image/v2/images", json=body)
    assert reply.status_code == 201, reply.text
    return reply.json()["id"]


async def nothing_is_left(api: Api, image_id: str) -> None:
    image = (await api.call("GET", f"/image/v2/images/{image_id}")).json()
    told = [image[name] for name in ("status", "size", "virtual_size", "checksum", "os_hash_value")]
    assert told == ["queued", None, None, None, None]
    assert (await api.call("GET", file_of(image_id))).status_code == 204
    images = api.cloud.state / "images"
    assert not images.exists() or list(images.iterdir()) == []
