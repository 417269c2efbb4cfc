# SPDX-License-Identifier: Apache-2.0
"""HAProxy in front of the API processes: the HTTP balancer of the fleet, with the configuration that docs/fleet.md
shows."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from lab.common import LabError
from lab.fleet.process import FleetProcess

CONFIG = """\
defaults
    mode http
    timeout connect 2s
    timeout client 1h
    timeout server 1h
    option redispatch
    retries 3

frontend compute
    bind 127.0.0.1:{port}
    default_backend apis

backend apis
    balance roundrobin
    option httpchk GET /healthz
    default-server check inter 500ms fall 2 rise 1
{servers}
"""


def balancer(directory: Path, port: int, apis: Mapping[str, int]) -> FleetProcess:
    """HAProxy on a loopback port, in front of API processes (name to port).  Raises LabError if it is not installed."""
    path = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    program = shutil.which("haproxy", path=path)
    if program is None:
        raise LabError("haproxy is not installed.", "apt-get install haproxy")
    servers = "\n".join(f"    server {name} 127.0.0.1:{at}" for name, at in apis.items())
    config = directory / "haproxy.cfg"
    _ = config.write_text(CONFIG.format(port=port, servers=servers))
    return FleetProcess("haproxy", [program, "-db", "-f", config], directory / "haproxy.log")
