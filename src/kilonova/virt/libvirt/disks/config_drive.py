# SPDX-License-Identifier: Apache-2.0
"""The config drive: an ISO 9660 image, labelled as cloud-init expects it.  Everything here blocks."""

import io
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from kilonova.base.errors import HypervisorError
from kilonova.base.files import open_plain

if TYPE_CHECKING:
    from pycdlib import PyCdlib

LABEL = "config-2"


def build(files: Mapping[str, bytes]) -> bytes:
    """An image with exactly `files` (path inside to contents), with Joliet and Rock Ridge names. The same files give
    the same tree in the same order; only the creation time differs. Raises HypervisorError for names that an image
    cannot hold.
    """
    import pycdlib  # slow to import, and only hosts need it
    from pycdlib.pycdlibexception import PyCdlibException

    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    try:
        _fill(iso, files)
        out = io.BytesIO()
        iso.write_fp(out)
        return out.getvalue()
    except PyCdlibException as exc:
        raise HypervisorError(f"The config drive cannot be made: {exc}") from exc
    finally:
        iso.close()


def _fill(iso: "PyCdlib", files: Mapping[str, bytes]) -> None:
    short: dict[PurePosixPath, str] = {PurePosixPath("/"): ""}
    for index, path in enumerate(sorted(_directories(files))):
        short[path] = f"{short[path.parent]}/D{index:07d}"
        iso.add_directory(short[path], rr_name=path.name, joliet_path=str(path))
    for index, (name, content) in enumerate(sorted(files.items())):
        path = _inside(name)
        iso.add_fp(
            io.BytesIO(content),
            len(content),
            f"{short[path.parent]}/F{index:07d}.;1",
            rr_name=path.name,
            joliet_path=str(path),
            file_mode=0o100444,
        )


def contents(path: Path) -> dict[str, bytes] | None:
    """The files of an image on disk; None when there is no image, or it cannot be read."""
    import pycdlib
    from pycdlib.pycdlibexception import PyCdlibException

    try:
        with open_plain(path) as file:
            iso = pycdlib.PyCdlib()
            iso.open_fp(file)
            return _read(iso)
    except (OSError, PyCdlibException):
        return None


def _read(iso: "PyCdlib") -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for folder, _, names in iso.walk(joliet_path="/"):
        for name in names:
            inside = str(PurePosixPath(folder) / name)
            buffer = io.BytesIO()
            iso.get_file_from_iso_fp(buffer, joliet_path=inside)
            found[inside.lstrip("/")] = buffer.getvalue()
    iso.close()
    return found


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath("/") / name
    if ".." in path.parts or name.startswith("/"):
        raise HypervisorError(f"A config drive cannot hold a file called {name}.")
    return path


def _directories(files: Mapping[str, bytes]) -> set[PurePosixPath]:
    found = {parent for name in files for parent in _inside(name).parents}
    return found - {PurePosixPath("/")}
