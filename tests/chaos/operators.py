# SPDX-License-Identifier: Apache-2.0
"""Operators of a chaos run: they disable hosts, force dead hosts down, give them up, evacuate their servers, and take
hosts back, as docs/lost-hosts.md says."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from tests.chaos.clients import Client, Server
from tests.chaos.cloud import Cloud, run_kilonova, until
from tests.chaos.power import switch_off, switch_on
from tests.simulation.explore.requests import SERVERS

COMPUTE = "/compute/v2.1"
PATIENCE_S, RETURN_S = 60.0, 30.0
"""How long an operator repeats a request; how long a host that has returned is enabled again and again."""

KEPT = "libvirt keeps guest"
"""What the fault of a server says whose start was cut off by the end of libvirtd."""

End = Callable[[], object]


@dataclass
class Operator:
    """One operator.  `client` sends the requests about servers, which belong to their histories."""

    cloud: Cloud
    client: Client

    def disable(self, host: str) -> End:
        """Disable a host; the result enables it."""
        self.change(host, status="disabled", disabled_reason="chaos")
        return lambda: self.change(host, status="enabled")

    def force_down(self, host: str) -> End:
        """Force a host down whose process was killed; the result starts it and takes it back."""
        victim = self.cloud.victims[host]
        victim.kill()
        self.change(host, forced_down=True)

        def end() -> None:
            victim.start()
            self.change(host, forced_down=False)

        return end

    def give_up(self, host: str) -> End:
        """Give up a host whose machine was switched off, and evacuate its servers.  The result switches it on, and
        enables it if it can."""
        switch_off(self.cloud, host)
        servers = self.servers(host) if until(lambda: self.is_down(host), PATIENCE_S) else []
        if until(lambda: self._forget(host), PATIENCE_S):
            self.evacuate(servers)

        def end() -> None:
            switch_on(self.cloud, host)
            until(lambda: self.change(host, status="enabled"), RETURN_S)

        return end

    def take_back(self) -> None:
        """All that operators did is undone, as far as it can be now: what is left of lost servers is evacuated."""
        for service in self.services():
            host = service["host"]
            if service.get("forced_down"):
                self.change(host, forced_down=False)
            if service["status"] == "disabled" and not self.change(host, status="enabled"):
                self.evacuate([row["id"] for row in self._in_error() if not row["OS-EXT-SRV-ATTR:host"]])

    def finish_starts(self) -> list[str]:
        """Restart each libvirtd that keeps a guest in a start, as the fault of its server says.  Returns them."""
        found: list[str] = []
        for row in self._in_error():
            daemon = self.cloud.libvirtds.get(row["OS-EXT-SRV-ATTR:host"] or "")
            if daemon is not None and KEPT in row.get("fault", {}).get("message", ""):
                daemon.kill()
                (daemon.directory / f"run/libvirt/qemu/run/kilonova-{row['id']}.xml").unlink(missing_ok=True)
                daemon.start()
                found.append(row["id"])
        return found

    def services(self, host: str = "") -> list[Mapping[str, Any]]:
        """The services of hosts; none if no API process answers."""
        found = self.send("GET", f"{COMPUTE}/os-services?binary=nova-compute" + (f"&host={host}" if host else ""))
        return found.json()["services"] if found is not None and found.status_code == 200 else []

    def servers(self, host: str) -> list[str]:
        """The servers of a host."""
        return [row["id"] for row in self._listed(f"host={host}")]

    def _in_error(self) -> list[Mapping[str, Any]]:
        return self._listed("status=ERROR")

    def _listed(self, words: str) -> list[Mapping[str, Any]]:
        found = self.send("GET", f"{SERVERS}/detail?all_tenants=1&{words}")
        return found.json()["servers"] if found is not None and found.status_code == 200 else []

    def evacuate(self, servers: list[str]) -> None:
        """Request the evacuation of each server, which may have been deleted meanwhile."""
        for server in servers:
            self.client.act(Server(server), "evacuate")

    def change(self, host: str, **words: object) -> bool:
        """Change the service of a host.  Returns whether it is so: it may be refused, or nothing may answer."""
        answers: list[int] = []

        def answered() -> bool:
            for service in self.services(host):
                found = self.send("PUT", f"{COMPUTE}/os-services/{service['id']}", words)
                answers.append(503 if found is None else found.status_code)
            return bool(answers) and answers[-1] < 500

        return until(answered, PATIENCE_S) and answers[-1] == 200

    def is_down(self, host: str) -> bool:
        """Whether the service of a host is shown as down."""
        return any(service["state"] == "down" for service in self.services(host))

    def send(self, method: str, path: str, body: object = None) -> httpx.Response | None:
        """The first answer of an API process; None when there is none."""
        for client in self.cloud.clients.values():
            try:
                return client.http.request(method, path, json=body)
            except httpx.HTTPError:
                continue
        return None

    def _forget(self, host: str) -> bool:
        for name in self.cloud.victims:
            if name.startswith("conductor"):
                words = ("host", "forget", host, "--yes", "--config-file", self.cloud.directory / f"{name}.conf")
                try:
                    run_kilonova(*words)
                    return True
                except (AssertionError, subprocess.TimeoutExpired):
                    continue
        return False
