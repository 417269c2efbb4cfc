# SPDX-License-Identifier: Apache-2.0
"""A running Kilonova, and the unmodified OpenStack client that speaks to it."""

import contextlib
import json
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from lab.common import CLIENT, TOP, VENV, LabError, environment, tail

# A proxy set in the environment has no business on the loopback.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


_LOCAL = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
_PORTS = range(10_000, max(_LOCAL, 20_000))
"""Below those that the kernel gives to outgoing connections: one of these may take a port before its server starts, or
while it starts again."""
_given: set[int] = set()


def free_port() -> int:
    """A TCP port of the loopback that nobody listens on, and that this process has not given before."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            if port not in _given:
                _given.add(port)
                return port


class Service:
    """`kilonova up` as a child process. All it says goes into `log`."""

    def __init__(self, *, state: Path, clouds: Path, uri: str, log: Path) -> None:
        self.port: int = free_port()
        self.url: str = f"http://127.0.0.1:{self.port}"
        self._log: Path = log
        argv = [
            str(VENV / "bin/kilonova"),
            "up",
            *("--state-path", str(state)),
            *("--listen", f"127.0.0.1:{self.port}"),
            *("--connection-uri", uri),
            *("--clouds-file", str(clouds)),
        ]
        self.command: str = f"kilonova {shlex.join(argv[1:])}"
        # Starts byte-compiled, whatever the caller's environment says.
        env = environment({"PYTHONDONTWRITEBYTECODE": None, "PYTHONPATH": None})
        with log.open("ab") as output:
            # Not in our process group: Ctrl-C is for the demo, which ends the service in its own order.
            self.process: subprocess.Popen[bytes] = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env, cwd="/", start_new_session=True
            )

    def wait_until_ready(self, seconds: float, spin: Callable[[], None]) -> None:
        """Return when the service says that its host is ready. Raises LabError after `seconds`."""
        deadline = time.monotonic() + seconds
        reason = "it does not answer"
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                words = tail(self._log, 1)
                raise LabError(f"kilonova up ended with status {self.process.returncode}: {words}")
            status, body = _get(f"{self.url}/readyz", timeout=5)
            if status == 200:
                return
            reason = str(body.get("reason", reason))
            spin()
            time.sleep(0.1)
        raise LabError(f"The service was not ready within {seconds:g} s: {reason}.")

    def serves(self, path: str) -> bool:
        """Whether a GET of the path is answered with 200."""
        return _get(f"{self.url}{path}", timeout=5)[0] == 200

    def stop(self, seconds: float = 40.0) -> int | None:
        """SIGTERM, then SIGKILL after `seconds`; the exit status, None when it had to be killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                _ = self.process.wait(timeout=seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                _ = self.process.wait(timeout=10)
                return None
        return self.process.returncode


class Client:
    """The `openstack` command with a clouds.yaml. Commands and answers go into `log`."""

    def __init__(self, clouds: Path, log: Path) -> None:
        self._log: Path = log
        # Settings of another cloud in the caller's environment would win over the file.
        foreign: dict[str, str | None] = {name: None for name in os.environ if name.startswith("OS_")}
        self._env: dict[str, str] = environment(
            {
                **foreign,
                "OS_CLIENT_CONFIG_FILE": str(clouds),
                "OS_CLOUD": "kilonova",
                "NO_PROXY": "127.0.0.1",
                "no_proxy": "127.0.0.1",
                "PYTHONDONTWRITEBYTECODE": None,
                "PYTHONPATH": None,
            }
        )

    def __call__(self, *words: str, timeout: float, spin: Callable[[], None] | None = None) -> str:
        """Run one command and return what it printed. Raises LabError after `timeout` seconds or on failure."""
        argv = [str(CLIENT / "bin/openstack"), *words]
        title = f"openstack {shlex.join(words)}"
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=self._env,
            cwd=TOP,
            start_new_session=True,
        )
        try:
            said = _communicate(process, timeout, spin)
        finally:
            if process.poll() is None:
                process.kill()
                _ = process.wait(timeout=10)
        with self._log.open("a") as log:
            _ = log.write(f"\n$ {title}\n{said if words[:2] != ('token', 'issue') else '(a token)'}\n")
        if process.returncode != 0:
            last = said.strip().splitlines()[-1:] or ["it said nothing"]
            raise LabError(f"{title} failed: {last[0]}")
        return said

    def json(self, *words: str, timeout: float, spin: Callable[[], None] | None = None) -> Mapping[str, object]:
        """The same with the answer as an object."""
        said = self(*words, "-f", "json", timeout=timeout, spin=spin)
        # Warnings of the client's libraries may come before the answer.
        answer: object = json.loads(said[said.index("{") :])
        assert isinstance(answer, dict)
        return answer


def _communicate(process: subprocess.Popen[bytes], timeout: float, spin: Callable[[], None] | None) -> str:
    deadline = time.monotonic() + timeout
    while True:
        try:
            return process.communicate(timeout=0.1)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                raise LabError(f"openstack did not finish within {timeout:g} s.") from None
            if spin is not None:
                spin()


class Api:
    """The two calls that the demo makes itself, because the client cannot stream."""

    def __init__(self, url: str, token: str) -> None:
        self._compute: str = f"{url}/compute/v2.1"
        self._headers: dict[str, str] = {"X-Auth-Token": token, "Content-Type": "application/json"}

    def console(self, server: str) -> str | None:
        """All that the guest has written on its serial console; None while there is none."""
        body = json.dumps({"os-getConsoleOutput": {}}).encode()
        status, answer = _get(f"{self._compute}/servers/{server}/action", headers=self._headers, body=body)
        output = answer.get("output")
        return output if status == 200 and isinstance(output, str) else None

    def status(self, server: str) -> tuple[str, str]:
        """Status of a server, and the message of its fault when it has one."""
        _, answer = _get(f"{self._compute}/servers/{server}", headers=self._headers)
        shown = answer.get("server")
        if not isinstance(shown, dict):
            return "UNKNOWN", ""
        fault = shown.get("fault")
        return str(shown.get("status")), str(fault.get("message", "")) if isinstance(fault, dict) else ""


def _get(
    url: str, *, headers: Mapping[str, str] | None = None, body: bytes | None = None, timeout: float = 15
) -> tuple[int, Mapping[str, object]]:
    """Status and JSON object of an answer; 0 when there was none."""
    request = urllib.request.Request(url, data=body, headers=dict(headers or {}))
    try:
        with _OPENER.open(request, timeout=timeout) as reply:
            return reply.status, _object(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, _object(error.read())
    except OSError:
        return 0, {}


def _object(raw: bytes) -> Mapping[str, object]:
    try:
        answer = json.loads(raw)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


_CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1bc|[\x00-\x08\x0b-\x1f\x7f]")


def printable(text: str) -> str:
    """Console text without what would move the cursor of the terminal it is shown on."""
    return _CONTROL.sub("", text.replace("\r\n", "\n"))
