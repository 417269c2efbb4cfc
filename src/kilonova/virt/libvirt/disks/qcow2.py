# SPDX-License-Identifier: Apache-2.0
"""The file that the header of a qcow2 file refers to. A guest that has broken out of its QEMU can write into the
headers of its own disks. So no header is trusted: it is compared with the records (see chains).  Source: QEMU,
docs/interop/qcow2.rst.
"""

import struct
from dataclasses import dataclass
from typing import BinaryIO

_MAGIC = b"QFI\xfb"
_FIXED = struct.Struct(">4sIQIIQ")
_FEATURES_AT, _HEADER_LENGTH_AT, _VERSION_2_LENGTH = 72, 100, 72
_EXTERNAL_DATA_FILE = 1 << 2
_BACKING_FORMAT, _END = 0xE2792ACA, 0
_NAME_MOST = 1023
"""Bytes of a backing file's name, by the format."""
_HEAD_BYTES = 64 * 1024
"""Header and extensions are in the first cluster; a cluster of our disks has 64 KiB."""


@dataclass(frozen=True, slots=True)
class Header:
    """`backing` is the file that the header names, in the header's own words; `backing_format` is its format, empty
    where the header has none; sizes are in bytes."""

    virtual_size: int
    backing: str | None
    backing_format: str
    has_data_file: bool


def read_header(file: BinaryIO) -> Header:
    """Read the header of an open file. Raises ValueError with a short reason when there is no valid header."""
    head = file.read(_HEAD_BYTES)
    if len(head) < _VERSION_2_LENGTH:
        raise ValueError("it is too short")
    magic, version, offset, length, _cluster_bits, size = _FIXED.unpack_from(head)
    if magic != _MAGIC or version not in (2, 3):
        raise ValueError("it is not a qcow2")
    features, at = 0, _VERSION_2_LENGTH
    if version == 3:
        if len(head) < _HEADER_LENGTH_AT + 4:
            raise ValueError("it is too short")
        (features,) = struct.unpack_from(">Q", head, _FEATURES_AT)
        (at,) = struct.unpack_from(">I", head, _HEADER_LENGTH_AT)
    backing = None
    if offset:
        if not 0 < length <= _NAME_MOST or offset + length > len(head):
            raise ValueError("the name of its backing file is beyond its head")
        backing = head[offset : offset + length].decode(errors="surrogateescape")
    return Header(size, backing, _backing_format(head, at), bool(features & _EXTERNAL_DATA_FILE))


def _backing_format(head: bytes, at: int) -> str:
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if kind == _END:
            break
        if kind == _BACKING_FORMAT:
            return head[at + 8 : at + 8 + length].decode(errors="replace")
        at += 8 + length + -length % 8
    return ""
