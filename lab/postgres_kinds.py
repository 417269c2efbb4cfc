# SPDX-License-Identifier: Apache-2.0
"""Private PostgreSQL servers of a kind: a standby of another server, and one whose disk is small."""

import os
import subprocess
import time
from pathlib import Path

from lab.cloud import free_port
from lab.common import LabError, run
from lab.postgres import PrivatePostgres

LOG_FILES = 3
"""Files of the log, of 16 MiB each, that a server with a small disk has in store."""
STANDBY = "standby1"
"""The name of a standby for `synchronous_standby_names`."""


class Standby(PrivatePostgres):
    """A streaming standby of a running server; `start` copies that server first."""

    def __init__(self, directory: Path | str, primary: PrivatePostgres) -> None:
        super().__init__(directory, primary.settings)
        self._source = f"host={primary.directory} port={primary.port} user=kilonova application_name={STANDBY}"

    def promote(self) -> None:
        """Make it a primary; returns when it accepts writes.  Raises LabError."""
        if self.sql("SELECT pg_promote(true, 20)", "postgres") != "t":
            raise LabError("The standby was not promoted within 20 s.")

    def separate(self) -> None:
        """Receive nothing of the primary from now on."""
        _ = self.sql("ALTER SYSTEM SET primary_conninfo = ''", "postgres")
        _ = self.sql("SELECT pg_reload_conf()", "postgres")
        deadline = time.monotonic() + 10
        while self.sql("SELECT count(*) FROM pg_stat_wal_receiver", "postgres") != "0":
            if time.monotonic() > deadline:
                raise LabError("The standby did not leave its primary within 10 s.")
            time.sleep(0.02)

    def _fill(self, data: Path) -> None:
        words = ("-d", self._source, "-D", data, "-X", "stream", "-c", "fast", "--no-sync", "-R")
        _ = run(self._words("pg_basebackup", *words), timeout=60)
        self.port = free_port()


def wait_for_standby(primary: PrivatePostgres) -> None:
    """From now on a commit of the server waits for its standby."""
    _ = primary.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{STANDBY}'", "postgres")
    _ = primary.sql("SELECT pg_reload_conf()", "postgres")
    while primary.sql("SHOW synchronous_standby_names", "postgres") != STANDBY:
        time.sleep(0.02)
    _ = primary.sql("CHECKPOINT", "postgres")  # (its process is the one that makes commits wait)


class SmallPostgres(PrivatePostgres):
    """A server whose files are on a file system of `size_mib`, in a mount namespace of its own.

    Only root can have it.  Raises LabError when no file system can be mounted.
    """

    def __init__(self, directory: Path | str, size_mib: int) -> None:
        super().__init__(directory)
        self._size_mib = size_mib
        self._holder: subprocess.Popen[bytes] | None = None

    def keep_log(self) -> None:
        """Prepare files of the log, so that on a full disk the tables are what cannot grow first."""
        for _ in range(LOG_FILES):
            _ = self.sql("SELECT pg_logical_emit_message(false, 'x', 'x'); SELECT pg_switch_wal()", "postgres")
        _ = self.sql("CHECKPOINT", "postgres")  # it makes future files of the used ones

    def fill(self) -> None:
        """Leave no room on the file system.  A repeat fills what the server has released since."""
        with self._filler.open("ab", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                return

    def free(self) -> None:
        """End a `fill`."""
        self._filler.unlink(missing_ok=True)

    def close(self) -> None:
        """End the server and its file system."""
        self.stop()
        if self._holder is not None:
            self._holder.kill()
            _ = self._holder.wait(10)
            self._holder = None

    @property
    def _filler(self) -> Path:
        assert self._holder is not None
        return Path(f"/proc/{self._holder.pid}/root{self.directory}/data/filler")

    def _fill(self, data: Path) -> None:
        if os.geteuid() != 0:
            raise LabError("Only root can mount a small file system.")
        options = f"size={self._size_mib}m,uid={self._uid},gid={self._gid},mode=0700"
        script = 'mount -t tmpfs -o "$1" kilonova "$2" && echo mounted && exec sleep infinity'
        argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", options, str(data)]
        self._holder = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        assert self._holder.stdout is not None
        with self._holder.stdout as told:
            is_mounted = told.readline() == b"mounted\n"
        if not is_mounted:
            raise LabError("No file system can be mounted in a namespace here.")
        self.within = ("nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt")
        super()._fill(data)
