# SPDX-License-Identifier: Apache-2.0
"""The format of an image's bytes: declared by the user, inspected, never guessed.

Every file is inspected before a disk is made of it: at the upload and again in a host's cache.  The detection and the
safety checks are oslo.utils' format inspector; the checks of sizes are ours.
"""

import struct
from pathlib import Path

from kilonova.base.errors import ImageUnacceptable
from kilonova.objects.image import DISK_FORMATS

MAX_VIRTUAL_BYTES = 16 << 40
"""A larger virtual disk is considered an attack or a mistake."""

MIN_VIRTUAL_BYTES = 512
"""One sector: a smaller file is too short to detect its format."""

_LOOKS_LIKE = {"qcow2": frozenset({"qcow2"}), "raw": frozenset({"raw", "gpt"})}
# The inspector reports anything with a partition table as "gpt": a raw disk of an operating system looks like that.

_UNSAFE = {
    "backing_file": "it has a backing file",
    "data_file": "it keeps its data in another file",
    "unknown_features": "it uses features of qcow2 that are not known here",
}

_QCOW2_HEADER = struct.Struct(">4sIQIIQIIQ")
_CLUSTER_BITS = range(9, 22)


def inspect(path: Path, declared_format: str) -> int:
    """The virtual size, in bytes, of the image file at `path`.  Blocking; reads only the head of the file.

    Raises ImageUnacceptable when no disk may be made of the format, when the bytes have another format than declared or
    several at once, when the image refers to another file, or when its sizes are not plausible.
    """
    if declared_format not in DISK_FORMATS:
        raise ImageUnacceptable(
            f"Disk format {declared_format} is not supported: use {' or '.join(sorted(DISK_FORMATS))}.",
            declared=declared_format,
        )
    _check_format(path, declared_format)
    file_bytes = path.stat().st_size
    virtual_bytes = _qcow2_size(path, file_bytes) if declared_format == "qcow2" else file_bytes
    if virtual_bytes < MIN_VIRTUAL_BYTES:
        raise ImageUnacceptable(
            f"The disk of the image would have {virtual_bytes} bytes, less than one sector.", declared=declared_format
        )
    if virtual_bytes > MAX_VIRTUAL_BYTES:
        raise ImageUnacceptable(
            f"The image's virtual size of {virtual_bytes} bytes is over the limit of {MAX_VIRTUAL_BYTES}.",
            declared=declared_format,
        )
    return virtual_bytes


def _check_format(path: Path, declared_format: str) -> None:
    # Imported late: a process that never inspects an image starts faster.
    from oslo_utils.imageutils import format_inspector

    try:
        found = format_inspector.detect_file_format(str(path))
    except format_inspector.ImageFormatError as exc:
        raise ImageUnacceptable(
            f"The image is declared {declared_format}, but its bytes look like several formats at once.",
            declared=declared_format,
        ) from exc
    if found is None or str(found) not in _LOOKS_LIKE[declared_format]:
        raise ImageUnacceptable(
            f"The image is declared {declared_format}, but its bytes are {found or 'of no known format'}.",
            declared=declared_format,
        )
    if declared_format == "raw":
        return  # raw bytes can refer to nothing: the hypervisor receives the format and interprets none of them
    try:
        found.safety_check()
    except format_inspector.SafetyCheckFailed as exc:
        reasons = " and ".join(_UNSAFE.get(name, name) for name in sorted(exc.failures))
        raise ImageUnacceptable(f"The image cannot be used: {reasons}.", declared=declared_format) from exc
    except format_inspector.ImageFormatError as exc:
        raise ImageUnacceptable("The image is truncated in its header.", declared=declared_format) from exc


def _qcow2_size(path: Path, file_bytes: int) -> int:
    """The disk's size of the header, once the header is consistent in itself and with the file.

    Source: QEMU, docs/interop/qcow2.rst, "Header".
    """
    with path.open("rb") as file:
        header = file.read(_QCOW2_HEADER.size)
    _magic, _version, _, _, cluster_bits, virtual_bytes, crypt_method, l1_entries, l1_offset = _QCOW2_HEADER.unpack(
        header
    )
    if crypt_method:
        raise ImageUnacceptable("The image is encrypted: hosts cannot read it.", declared="qcow2")
    if cluster_bits not in _CLUSTER_BITS:
        raise ImageUnacceptable(f"The image's cluster size of 2^{cluster_bits} bytes is not valid.", declared="qcow2")
    bytes_per_l1_entry = 1 << (2 * cluster_bits - 3)  # one table of 8-byte entries, each a cluster
    if l1_entries * bytes_per_l1_entry < virtual_bytes:
        raise ImageUnacceptable("The image's tables are too small for its virtual size.", declared="qcow2")
    if l1_offset + 8 * l1_entries > file_bytes:
        raise ImageUnacceptable("The image is truncated: its tables are beyond its end.", declared="qcow2")
    return virtual_bytes
