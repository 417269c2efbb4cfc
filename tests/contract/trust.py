# SPDX-License-Identifier: Apache-2.0
"""A real nats-server with an authority of its own: TLS, and credentials that the tests issue."""

import subprocess
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from kilonova.base.clock import SystemClock
from kilonova.cmd.credentials import push
from kilonova.rpc import authority
from kilonova.rpc.authority import Founding
from kilonova.rpc.credentials import Credentials, identity, write
from kilonova.rpc.nats import NatsBus
from kilonova.rpc.nats_jwt import Rights
from kilonova.rpc.transport_url import Access
from kilonova.rpcapi.permissions import Role, rights
from lab.cloud import free_port
from lab.counting import cannot_run
from tests.contract.buses import NatsServer

CLOCK = SystemClock()


class TrustedServer(NatsServer):
    """A server with the files of an authority.  `routes` are the cluster addresses of the others."""

    def __init__(self, directory: Path, files: Path, port: int, cluster: Sequence[str] = ()) -> None:
        super().__init__(directory)
        self._files, self._port, self._cluster = files, port, cluster

    @property
    def url(self) -> str:
        return f"tls://127.0.0.1:{self._port}"

    def argv(self, program: str) -> list[str]:
        words = [program, "-c", str(self._files / "nats-server.conf"), "-a", "127.0.0.1", "-p", str(self._port)]
        if self._cluster:
            own, *others = self._cluster
            words += ["--cluster_name", "kn", "--cluster", own, "--routes", ",".join(others)]
        return [*words, "--ports_file_dir", str(self._directory)]


class Bench:
    """An authority and its servers."""

    def __init__(self, directory: Path, servers: int = 1) -> None:
        self.directory, self.authority = directory, directory / "authority"
        ports = [free_port() for _ in range(servers)]
        urls = tuple(f"tls://127.0.0.1:{port}" for port in ports)
        founding = Founding(urls, self.authority / "server", ("127.0.0.1",), timedelta(days=30))
        authority.found(self.authority, founding, CLOCK)
        self.servers = [self._server(number, ports) for number in range(servers)]

    def _server(self, number: int, ports: Sequence[int]) -> TrustedServer:
        home = self.directory / f"nats{number}"
        home.mkdir()
        files = self.authority / "server"
        if len(ports) == 1:
            return TrustedServer(home, files, ports[0])
        config = (files / "nats-server.conf").read_text().replace(str(files / "accounts"), str(home / "accounts"))
        (home / "nats-server.conf").write_text(config[: config.index("cluster {")])
        if not hasattr(self, "_routes"):
            self._routes = [f"nats://127.0.0.1:{free_port()}" for _ in ports]
        own = self._routes[number]
        return TrustedServer(home, home, ports[number], [own, *(one for one in self._routes if one != own)])

    @property
    def server(self) -> TrustedServer:
        return self.servers[0]

    def issue(
        self, role: Role, name: str, *, lifetime: timedelta | None = None, allowed: Rights | None = None
    ) -> Credentials:
        """New credentials; they are also written to `file`."""
        with authority.opened(self.authority, CLOCK) as found:
            made = found.issue(identity(role, name), allowed or rights(role, name), lifetime)
        write(self.file(role, name), made)
        return made

    def file(self, role: Role, name: str) -> Path:
        return self.directory / f"{role}-{name}.kilonova"

    def revoke(self, role: Role, name: str, *, former: bool = False) -> None:
        with authority.opened(self.authority, CLOCK) as found:
            found.revoke(identity(role, name), keep_newest=former)
            push(found)

    def access(self, role: Role, name: str) -> Access:
        if not self.file(role, name).exists():
            self.issue(role, name)
        return Access(credentials_file=str(self.file(role, name)))

    def bus(self, role: Role, name: str) -> NatsBus:
        return NatsBus(self.access(role, name), identity(role, name), CLOCK, drain_s=1.0)


@contextmanager
def trusted(servers: int = 1) -> Generator[Bench]:
    """Running servers with an authority; all is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="kn-trust-") as directory:
        bench = Bench(Path(directory), servers)
        try:
            for server in bench.servers:
                server.start()
        except (OSError, subprocess.SubprocessError) as exc:
            cannot_run(str(exc))
        try:
            yield bench
        finally:
            for server in bench.servers:
                server.stop()
