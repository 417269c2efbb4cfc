# SPDX-License-Identifier: Apache-2.0
"""A real one box: `kilonova up` as a process on a private libvirtd, spoken to over HTTP."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx

from lab.cloud import free_port
from lab.common import LabError
from lab.counting import cannot_run
from lab.daemon import Daemon
from lab.libvirtd import PrivateLibvirtd

GUEST_IMAGE = Path(__file__).parents[2] / ".build/guest/kilonova-guest.qcow2"


PATIENCE_S = 180.0
"""After so long what is waited for never comes.  A machine under load is slow, and no test judges by the clock."""


def wait_for(what: Callable[[], Any], *, within_s: float = PATIENCE_S, why: Callable[[], str] = lambda: "") -> Any:
    """The first true answer.  The bound only ends a test that would wait for ever."""
    begin = time.monotonic()
    while True:
        answer = what()
        if answer:
            return answer
        waited = time.monotonic() - begin
        assert waited < within_s, f"did not come about within {within_s} s: {why()}"
        # Most answers cost the service and this process as much CPU time as 0.01 s of a guest's boot.
        time.sleep(min(0.5, 0.05 + waited / 20))


def virsh(daemon: Daemon, *words: str) -> str:
    argv = ["virsh", "--quiet", "--connect", daemon.uri, *words]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class CloudClient:
    """What tests ask of an API, as its administrator."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def log_in(self, clouds: Path) -> None:
        """As the administrator of that clouds.yaml."""
        password = next(line.split()[1] for line in clouds.read_text().splitlines() if "password:" in line)
        user = {"name": "admin", "domain": {"id": "default"}, "password": password}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        reply = self.http.post("/identity/v3/auth/tokens", json={"auth": {"identity": identity, "scope": scope}})
        assert reply.status_code == 201, reply.text
        self.http.headers["X-Auth-Token"] = reply.headers["X-Subject-Token"]
        self.http.headers["OpenStack-API-Version"] = "compute 2.90"

    def last_words(self) -> str:
        """The end of the log of what serves."""
        return ""

    def upload(self, path: Path, disk_format: str = "qcow2") -> str:
        body = {"name": path.name, "disk_format": disk_format, "container_format": "bare"}
        image_id: str = self.http.post("/image/v2/images", json=body).json()["id"]
        headers = {"Content-Type": "application/octet-stream"}
        reply = self.http.put(f"/image/v2/images/{image_id}/file", content=path.read_bytes(), headers=headers)
        assert reply.status_code == 204, reply.text
        return image_id

    def create(self, image_id: str, name: str = "s1", **fields: Any) -> str:
        server = {"name": name, "imageRef": image_id, "flavorRef": "1", "networks": "auto", **fields}
        reply = self.http.post("/compute/v2.1/servers", json={"server": server})
        assert reply.status_code == 202, reply.text
        return str(reply.json()["server"]["id"])

    def server(self, server_id: str) -> Mapping[str, Any] | None:
        """None once it is gone."""
        reply = self.http.get(f"/compute/v2.1/servers/{server_id}")
        return reply.json()["server"] if reply.status_code == 200 else None

    def node(self) -> Mapping[str, Any]:
        """The hypervisor, with what is used of it: shown up to 2.87."""
        old = {"OpenStack-API-Version": "compute 2.87"}
        (found,) = self.http.get("/compute/v2.1/os-hypervisors/detail", headers=old).json()["hypervisors"]
        return found

    def act(self, server_id: str, body: Mapping[str, Any], code: int = 202) -> Any:
        reply = self.http.post(f"/compute/v2.1/servers/{server_id}/action", json=body)
        assert reply.status_code == code, reply.text
        return reply.json() if reply.content else None

    def wait_status(self, server_id: str, status: str, within_s: float = PATIENCE_S) -> Mapping[str, Any]:
        def look() -> Mapping[str, Any] | None:
            server = self.server(server_id)
            assert server is not None, "it is gone"
            if status != "ERROR":
                assert server["status"] != "ERROR", server.get("fault")
            settled = server["status"] == status and server["OS-EXT-STS:task_state"] is None
            return server if settled else None

        found: Mapping[str, Any] = wait_for(look, within_s=within_s, why=self.last_words)
        return found

    def delete(self, server_id: str, within_s: float = PATIENCE_S) -> None:
        assert self.http.delete(f"/compute/v2.1/servers/{server_id}").status_code == 204
        wait_for(lambda: self.server(server_id) is None, within_s=within_s, why=self.last_words)


class Box(CloudClient):
    """`kilonova up` on a state directory of its own; may be killed and started again."""

    def __init__(self, directory: Path, *words: str) -> None:
        self.state, self.clouds, self.log = directory / "state", directory / "clouds.yaml", directory / "log"
        super().__init__(free_port())
        self.words = words
        self.wrapper: tuple[str, ...] = ()
        self.program: tuple[str, ...] = (sys.executable, "-m", "kilonova")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, failpoints: str = "") -> Self:
        argv = [*self.wrapper, *self.program, "up", "--state-path", str(self.state), *self.words]
        argv += ["--listen", f"127.0.0.1:{self.port}", "--clouds-file", str(self.clouds)]
        environment = {**os.environ, "KILONOVA_FAILPOINTS": failpoints}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, env=environment, start_new_session=True)
        wait_for(self._listens, why=self.last_words)
        if "X-Auth-Token" not in self.http.headers:
            self.log_in(self.clouds)
        return self

    def ready(self, within_s: float = PATIENCE_S) -> Self:
        wait_for(lambda: self.http.get("/readyz").status_code == 200, within_s=within_s, why=self.last_words)
        return self

    def last_words(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def _listens(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.last_words()
        try:
            return self.clouds.exists() and self.http.get("/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    def wait_dead(self, within_s: float = PATIENCE_S) -> None:
        """It ends by itself (a failpoint)."""
        assert self.process is not None
        self.process.wait(timeout=within_s)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=10)

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.http.close()

    def files_of(self, server_id: str) -> list[Path]:
        """Everything on disk that belongs to a server."""
        return [path for path in self.state.rglob("*") if server_id in str(path)]


@contextmanager
def private_libvirtd() -> Generator[Daemon]:
    """A libvirtd of the test's own, in a short directory that QEMU's user can reach."""
    with tempfile.TemporaryDirectory(prefix="kn") as directory:
        Path(directory).chmod(0o711)
        try:
            daemon = PrivateLibvirtd(Path(directory) / "l")
            daemon.start()
        except LabError as error:
            cannot_run(error.sentence)
        try:
            yield daemon
        finally:
            daemon.stop()


@contextmanager
def libvirt_box(daemon: Daemon, *words: str) -> Generator[Box]:
    """A box on that daemon, not started yet."""
    box = Box(daemon.directory.parent, "--connection-uri", daemon.uri, *words)
    try:
        yield box
    finally:
        box.close()
