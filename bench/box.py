# SPDX-License-Identifier: Apache-2.0
"""`kilonova up` as a child process: started, queried, measured, stopped."""

import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import processes
from bench.figures import CannotMeasure
from bench.web import Web
from lab.cloud import free_port
from lab.common import VENV, environment, tail

FAKE = "fake.FakeDriver"
LIBVIRT = "libvirt.LibvirtDriver"
FLAVOR = "1"
"""m1.nano: 1 vCPU, 128 MiB, 1 GiB."""
READY_POLL_S = 0.002
STOP_S = 40.0


class Cloud:
    """A running service: the address and the administrator's clouds file.  `roots` are the processes from which all of
    its processes descend."""

    def __init__(self, port: int, clouds: Path) -> None:
        self.port, self.clouds = port, clouds
        self.url = f"http://127.0.0.1:{port}"
        self._web: Web | None = None
        self._token: str | None = None

    def roots(self) -> Mapping[str, int]:
        """Process ids by name."""
        raise NotImplementedError

    @property
    def endpoint(self) -> str:
        """Of the Compute API."""
        return f"{self.url}/compute/v2.1"

    def cpu_seconds(self) -> float:
        """CPU-seconds that it has spent so far, all its processes together."""
        return sum(map(processes.cpu_seconds, self.roots().values()))

    @property
    def token(self) -> str:
        """An administrator's token, by the password in the clouds file."""
        if self._token is None:
            self._token = _log_in(Web(self.port), password_in(self.clouds.read_text()))
        return self._token

    @property
    def web(self) -> Web:
        """A client with that token."""
        if self._web is None:
            self._web = Web(self.port, self.token)
        return self._web

    def upload(self, name: str, data: bytes, disk_format: str, *, visibility: str = "shared") -> str:
        """A new image's id.  Raises CannotMeasure."""
        about = {"name": name, "disk_format": disk_format, "container_format": "bare", "visibility": visibility}
        image = self.web.expect(201, "POST", "/image/v2/images", about).json()["id"]
        self.web.expect(204, "PUT", f"/image/v2/images/{image}/file", data, content_type="application/octet-stream")
        return image

    def small_image(self) -> str:
        """A raw image of 1 MiB that boots nothing: enough for the fake driver."""
        return self.upload("bench", bytes(1 << 20), "raw")

    def server_ids(self) -> list[str]:
        """Ids of all servers."""
        found: list[str] = []
        while True:
            marker = f"&marker={found[-1]}" if found else ""
            path = f"/compute/v2.1/servers?limit=1000{marker}"
            page = self.web.expect(200, "GET", path).json()["servers"]
            found += [server["id"] for server in page]
            if len(page) < 1000:
                return found

    def log_out(self) -> None:
        """Forget the token and the connection."""
        if self._web is not None:
            self._web.close()
        self._web = self._token = None


class Box(Cloud):
    """One box on the state in `directory`/state; entered, it is ready.  `ready_s` is how long that took, `ready_cpu_s`
    the CPU-seconds spent until then."""

    def __init__(
        self, directory: Path, *, driver: str = FAKE, uri: str | None = None, config: str = "", limit_s: float = 60.0
    ) -> None:
        self.directory, self._driver, self._uri, self._config = directory, driver, uri, config
        self._limit_s = limit_s
        self.state = directory / "state"
        self.log = directory / "up.log"
        super().__init__(free_port(), directory / "clouds.yaml")
        self.ready_s = self.ready_cpu_s = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def _argv(self) -> list[str]:
        words = [
            *(str(VENV / "bin/kilonova"), "up"),
            *("--state-path", str(self.state)),
            *("--listen", f"127.0.0.1:{self.port}"),
            *("--compute-driver", self._driver),
            *("--clouds-file", str(self.clouds)),
        ]
        if self._uri is not None:
            words += ["--connection-uri", self._uri]
        if self._config:
            file = self.directory / "kilonova.conf"
            file.write_text(self._config)
            words += ["--config-file", str(file)]
        return words

    def start(self, *, wait_ready: bool = True) -> None:
        """Start it and wait until /readyz is 200, or else only until it answers.  Raises CannotMeasure."""
        self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        argv = self._argv()
        with self.log.open("ab") as log:
            begun = time.perf_counter()
            self._process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Byte-compiled, as it is installed.
                env=environment({"PYTHONDONTWRITEBYTECODE": None}),
                cwd="/",
                start_new_session=True,
            )
        try:
            self._wait_until_ready(begun, wait_ready)
        except BaseException:
            self.stop()
            raise

    def _wait_until_ready(self, begun: float, wait_ready: bool) -> None:
        web = Web(self.port, timeout_s=self._limit_s)
        why = "it does not answer"
        while time.perf_counter() - begun < self._limit_s:
            if self.process.poll() is not None:
                raise CannotMeasure(f"kilonova up ended with {self.process.returncode}: {tail(self.log, 1)}")
            try:
                answer = web("GET", "/readyz")
            except OSError:
                time.sleep(READY_POLL_S)
                continue
            if answer.status == 200 or (not wait_ready and self.clouds.exists()):
                self.ready_s = time.perf_counter() - begun
                self.ready_cpu_s = self.cpu_seconds()
                web.close()
                return
            why = answer.data[:200].decode(errors="replace")
            time.sleep(READY_POLL_S)
        raise CannotMeasure(f"kilonova up was not ready within {self._limit_s:g} s: {why}")

    def stop(self) -> None:
        """End it by SIGTERM; by SIGKILL when it does not end."""
        self.log_out()
        if self._process is not None:
            processes.end(self._process, STOP_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            print(f"the last words of {self.log.parent.name}:\n{tail(self.log, 12)}", file=sys.stderr)
        self.stop()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None
        return self._process

    def roots(self) -> Mapping[str, int]:
        return {"box": self.process.pid}

    def pss_mib(self) -> float:
        """Memory of all its processes, in MiB."""
        return processes.pss_mib(self.process.pid)


def password_in(clouds: str) -> str:
    """The password in a clouds.yaml of ours.  Raises CannotMeasure."""
    found = re.search(r"^\s*password: (\S+)$", clouds, re.MULTILINE)
    if found is None:
        raise CannotMeasure("The clouds file has no password.")
    return found[1].strip("\"'")


def _log_in(web: Web, password: str) -> str:
    domain = {"id": "default"}
    user = {"name": "admin", "domain": domain, "password": password}
    body = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": domain}},
        }
    }
    answer = web.expect(201, "POST", "/identity/v3/auth/tokens", body)
    web.close()
    return answer.headers["x-subject-token"]
