# SPDX-License-Identifier: Apache-2.0
"""The changes that `kilonova install` makes to a machine.  Each is idempotent and prints what it did."""

import grp
import os
import pwd
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kilonova.base.errors import StateError
from kilonova.base.files import replace_file

LIMIT_S = 120.0


@dataclass(slots=True)
class Machine:
    """A machine to install on.

    `root` is the root of its file system: "/" for this machine, otherwise a directory that becomes a package, with
    files only and without users and services.  With `dry_run` it prints each change and makes none.
    """

    root: Path = Path("/")
    dry_run: bool = False
    changed: list[str] = field(default_factory=list[str])

    @property
    def real(self) -> bool:
        """Whether this is the machine that the command runs on."""
        return self.root == Path("/")

    @property
    def has_systemd(self) -> bool:
        """Whether systemd runs on this machine."""
        return self.real and Path("/run/systemd/system").is_dir()

    def place(self, path: str) -> Path:
        """The real path of an absolute path of the machine."""
        return self.root / path.lstrip("/")

    def report(self, deed: str, what: str) -> None:
        """Print one line: what was done, and to what."""
        print(f"{deed:<12} {what}", flush=True)

    def directory(self, path: str, mode: int, owner: str | None = None) -> None:
        """Ensure that the directory exists with that mode and (on a real machine) that owner.  Raises StateError."""
        there = self.place(path)
        uid, gid = self._ids(owner)
        if there.is_dir():
            found = there.stat()
            if found.st_mode & 0o7777 == mode and (uid in (-1, found.st_uid)) and (gid in (-1, found.st_gid)):
                self.report("unchanged", path)
                return
        self._do("directory", path, lambda: _make_directory(there, mode, uid, gid))

    def file(self, path: str, text: str, mode: int, group: str | None = None, *, keep: bool = False) -> None:
        """Ensure that the file has that text.  With `keep`, an existing file does not change.  Raises StateError."""
        there = self.place(path)
        if there.exists() and (keep or there.read_text(encoding="utf-8") == text):
            self.report("unchanged", path)
            return
        gid = self._ids(group)[1]
        self._do("updated" if there.exists() else "file", path, lambda: _write(there, text, mode, gid))

    def gone(self, path: str) -> None:
        """Ensure that the file does not exist.  Raises StateError."""
        there = self.place(path)
        if not there.exists():
            self.report("missing", path)
            return
        self._do("removed", path, there.unlink)

    def run(self, what: str, argv: Sequence[str]) -> None:
        """Run a command of the system.  Raises StateError with its error message."""
        self._do(what, " ".join(argv), lambda: _run(argv))

    def own(self, paths: Sequence[Path], owner: str, what: str) -> None:
        """Ensure that these files have that owner.  Raises StateError."""
        uid, gid = self._ids(owner)
        # A file with a second hard link may belong to another directory.
        facts = [(path, path.lstat()) for path in paths]
        strangers = [path for path, found in facts if found.st_uid != uid and (path.is_dir() or found.st_nlink == 1)]
        if strangers and uid != -1:
            self._do("given", f"{len(strangers)} files of {what} to {owner}", lambda: _chown(strangers, uid, gid))

    def _ids(self, name: str | None) -> tuple[int, int]:
        """User and group id; -1 means "do not change", also for a user that a dry run does not create."""
        if name is None or not self.real:
            return -1, -1
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            return -1, -1
        return found.pw_uid, found.pw_gid

    def _do(self, deed: str, what: str, work: Callable[[], None]) -> None:
        self.report(f"would: {deed}" if self.dry_run else deed, what)
        self.changed.append(what)
        if self.dry_run:
            return
        try:
            work()
        except (OSError, subprocess.SubprocessError) as exc:
            raise StateError(f"{deed} {what}: {exc}.") from exc


def has_user(name: str) -> bool:
    """Whether this machine has the user."""
    return any(entry.pw_name == name for entry in pwd.getpwall())


def groups_of(name: str) -> dict[str, bool]:
    """For each group of this machine, by name: whether the user is a member."""
    return {entry.gr_name: name in entry.gr_mem for entry in grp.getgrall()}


def closed_to_others(path: Path) -> Path | None:
    """The first directory on the path that other users cannot pass; None when there is none."""
    for place in (*reversed(path.parents), path):
        if place.is_dir() and not place.stat().st_mode & 0o001:
            return place
    return None


def _make_directory(path: Path, mode: int, uid: int, gid: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(mode)
    os.chown(path, uid, gid)


def _write(path: Path, text: str, mode: int, gid: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, text.encode(), mode=mode, gid=gid)


def _chown(paths: Sequence[Path], uid: int, gid: int) -> None:
    for path in paths:
        os.chown(path, uid, gid, follow_symlinks=False)


def _run(argv: Sequence[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise OSError(f"status {done.returncode}, {words[-1] if words else 'no message'}")
