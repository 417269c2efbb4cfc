# SPDX-License-Identifier: Apache-2.0
"""The configuration file of the NATS servers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

CLUSTER_PORT = 6222
MAX_PAYLOAD = 1 << 20
FILE, CA_FILE, CERT_FILE, KEY_FILE, ACCOUNTS = "nats-server.conf", "ca.crt", "server.crt", "server.key", "accounts"


@dataclass(frozen=True, slots=True)
class Plan:
    """`directory` is where the files are on the servers.  `servers` are the URLs of clients.  `accounts` maps public
    keys to JWTs."""

    directory: Path
    servers: Sequence[str]
    operator: str
    system_account: str
    accounts: Mapping[str, str]
    tls: bool


def render(plan: Plan) -> str:
    """The same file serves every server of a cluster: a server ignores the route to itself."""
    port = urlsplit(plan.servers[0]).port
    lines = [
        "# Made by `kilonova bus`; the same file serves every server.",
        f'listen: "0.0.0.0:{port}"',
        f"max_payload: {MAX_PAYLOAD}",
        'ping_interval: "2s"',
        "ping_max: 2",
        'write_deadline: "5s"',
        f"operator: {plan.operator}",
        f"system_account: {plan.system_account}",
        "resolver {",
        "  type: full",
        f"  dir: {json.dumps(str(plan.directory / ACCOUNTS))}",
        "  allow_delete: false",
        '  interval: "2m"',
        "}",
        "resolver_preload {",
        *(f"  {key}: {jwt}" for key, jwt in plan.accounts.items()),
        "}",
    ]
    if plan.tls:
        lines += ["tls {", *_tls(plan.directory), "}"]
    if len(plan.servers) > 1:
        hosts = (urlsplit(server).hostname or "" for server in plan.servers)
        routes = ", ".join(f'"nats-route://{_bracketed(host)}:{CLUSTER_PORT}"' for host in hosts)
        lines += ["cluster {", "  name: kilonova", f'  listen: "0.0.0.0:{CLUSTER_PORT}"', f"  routes: [{routes}]"]
        if plan.tls:
            lines += ["  tls {", *(f"  {line}" for line in _tls(plan.directory)), "    verify: true", "  }"]
        lines.append("}")
    return "\n".join(lines) + "\n"


def _tls(directory: Path) -> list[str]:
    files = {"cert_file": CERT_FILE, "key_file": KEY_FILE, "ca_file": CA_FILE}
    return [*(f"  {name}: {json.dumps(str(directory / file))}" for name, file in files.items()), "  timeout: 5"]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
