# SPDX-License-Identifier: Apache-2.0
"""No hypervisor: the URI is wrong, the password is wrong, or the daemon does not run."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.run import Bench
from faults.lab import Scene, scene, wait_for
from faults.table import Row, Samples
from lab.daemon import Daemon
from lab.libvirtd import PrivateLibvirtd
from lab.sasl_libvirtd import SaslLibvirtd


def unreachable(bench: Bench) -> Row:
    """Wrong URI, wrong password, absent at start."""
    row = Row("wrong URI, wrong password, absent at start", "A box is started on each and watched for some seconds.")

    def absent(directory: Path) -> Daemon:
        daemon = PrivateLibvirtd(directory)
        daemon.start = lambda: None  # it comes later, or never
        return daemon

    def with_password(directory: Path) -> Daemon:
        return SaslLibvirtd(directory, name="alice", password="right")

    wrong = bench.directory() / "auth"
    wrong.write_text("[credentials-x]\nauthname=alice\npassword=wrong\n[auth-libvirt-default]\ncredentials=x\n")
    seconds = bench.n(20, 2)
    _case(row, bench, "wrong URI", seconds, "qemu+nosuch:///x", "", PrivateLibvirtd)
    _case(row, bench, "wrong password", seconds, None, f"auth_file = {wrong}\n", with_password)
    _case(row, bench, "absent at start", seconds, None, "", absent)
    return row


def short_outage(bench: Bench) -> Row:
    """The only host loses its hypervisor for seconds, again and again, while servers are created."""
    row = Row(
        "short outages of the only libvirtd",
        "The daemon is killed, servers are created while it is away and as it comes back, and so on.",
    )
    rounds, each = bench.n(6, 1), 3
    with scene(bench) as here:
        image, servers, messages = here.image(), list[str](), list[str]()
        for _ in range(rounds):
            here.daemon.kill()
            wait_for(lambda: not here.ready(), 60, "out of service")
            servers += [here.create(image, f"guest-{len(servers)}") for _ in range(each)]
            messages.append(here.actions(servers[-1])[0]["message"] or "")
            time.sleep(2)
            here.daemon.start()
            servers += [here.create(image, f"guest-{len(servers)}") for _ in range(each)]
            for one in servers:
                wait_for(partial(_is_settled, here, one), 180, "the end of every create")
        states = [(here.show(one) or {}).get("status") for one in servers]
    row.none("servers that are not ACTIVE", len(servers) - states.count("ACTIVE"))
    row.true("a create says that it waits", all("Waiting for a host" in one for one in messages), messages[-1])
    return row


def _is_settled(here: Scene, server: str) -> bool:
    return (here.show(server) or {}).get("status") in ("ACTIVE", "ERROR")


def _case(
    row: Row, bench: Bench, name: str, seconds: float, uri: str | None, config: str, daemon_of: Callable[[Path], Daemon]
) -> None:
    with scene(bench, uri=uri, ready=False, config=config, daemon_of=daemon_of) as here:
        time.sleep(1)
        image = here.image()
        threads = list[float]()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            threads.append(here.threads())
            time.sleep(0.1)
        answer = here.box.web("GET", "/readyz")
        log = here.box.log.read_text(errors="replace").splitlines()
        messages = [line for line in log if "compute.libvirt.error" in line]
        served = here.box.web("GET", f"/image/v2/images/{image}").status == 200 and _lists(here)
    row.most(f"{name}: sentences about it in the log", len(messages), 1, "")
    row.true(f"{name}: /readyz says why", answer.status == 503 and "libvirt" in answer.json().get("reason", ""))
    row.true(f"{name}: serves what needs no hypervisor (upload, lists)", served)
    half = len(threads) // 2
    grown = max(threads[half:]) - max(threads[:half])
    row.most(f"{name}: threads more in the second half than in the first", grown, 0, "")
    row.series.append(Samples(f"{name}: threads", "", threads))


def _lists(here: Scene) -> bool:
    web = here.box.web
    lists = ("flavors", "servers/detail", "os-services")
    return all(web("GET", f"/compute/v2.1/{one}").status == 200 for one in lists)
