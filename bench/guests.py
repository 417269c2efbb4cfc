# SPDX-License-Identifier: Apache-2.0
"""Real guests: boot and deletion through the API, in turns with the same guest by bare libvirt."""

import contextlib
import time
from collections.abc import Iterator

import libvirt

from bench.bare_guest import BareGuest, take_template
from bench.box import FLAVOR, LIBVIRT, Box
from bench.figures import CannotMeasure, Figure, Series
from bench.run import Bench, Group
from bench.stats import ratio
from lab.common import LabError
from lab.guest_image import IMAGE
from lab.libvirtd import PrivateLibvirtd

POLL_S = 0.01
"""Looking more often would take from QEMU the processor time that the control has for itself."""
GRID_MS = 200.0
"""libvirt looks this often whether a QEMU that it ended is gone."""
DWELL_S = 1.0
"""Between a guest's start and its deletion, the same for both sides."""
LIMIT_S = 120.0


class _Served:
    """A guest by the API."""

    def __init__(self, box: Box, conn: libvirt.virConnect, image: str) -> None:
        self._box, self._conn, self._image = box, conn, image
        self.id = ""

    def boot(self) -> float:
        """POST to ACTIVE, milliseconds."""
        server = {"name": "bench", "imageRef": self._image, "flavorRef": FLAVOR, "networks": "auto"}
        begun = time.perf_counter()
        answer = self._box.web.expect(202, "POST", "/compute/v2.1/servers", {"server": server})
        self.id = answer.json()["server"]["id"]
        while time.perf_counter() - begun < LIMIT_S:
            shown = self._box.web.expect(200, "GET", f"/compute/v2.1/servers/{self.id}").json()["server"]
            if shown["status"] == "ACTIVE":
                return (time.perf_counter() - begun) * 1000
            if shown["status"] == "ERROR":
                raise CannotMeasure(f"A real guest went to ERROR: {shown.get('fault', {}).get('message')}")
            time.sleep(POLL_S)
        raise CannotMeasure(f"A real guest was not ACTIVE within {LIMIT_S:g} s")

    def delete(self) -> float:
        """DELETE until 404, no domain, no file; milliseconds."""
        path = f"/compute/v2.1/servers/{self.id}"
        begun = time.perf_counter()
        self._box.web.expect(204, "DELETE", path)
        while time.perf_counter() - begun < LIMIT_S:
            if self._box.web("GET", path).status == 404 and not self._left():
                return (time.perf_counter() - begun) * 1000
            time.sleep(POLL_S)
        raise CannotMeasure(f"A real guest was not gone within {LIMIT_S:g} s")

    def _left(self) -> bool:
        if (self._box.state / "instances" / self.id).exists():
            return True
        try:
            self._conn.lookupByUUIDString(self.id)
        except libvirt.libvirtError as exc:
            if exc.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return False
            raise
        return True


class _Pairs:
    """Times in ms of both sides."""

    def __init__(self) -> None:
        self.boots: dict[str, list[float]] = {"served": [], "bare": []}
        self.deletions: dict[str, list[float]] = {"served": [], "bare": []}

    def take(self, name: str, guest: _Served | BareGuest) -> None:
        self.boots[name].append(guest.boot())
        time.sleep(DWELL_S)
        self.deletions[name].append(guest.delete())


def _measure(bench: Bench) -> Iterator[Figure]:
    n = bench.n(9, 5)
    if not IMAGE.exists():
        raise CannotMeasure("There is no guest image (make setup).")
    pairs = _Pairs()
    with contextlib.ExitStack() as stack:
        try:
            daemon = stack.enter_context(PrivateLibvirtd(bench.directory()))
        except LabError as exc:
            raise CannotMeasure(f"No private libvirtd: {exc.sentence}") from exc
        libvirt.registerErrorHandler(lambda _context, _error: None, None)
        conn = libvirt.open(daemon.uri)
        stack.callback(conn.close)
        box = stack.enter_context(Box(bench.directory(), driver=LIBVIRT, uri=daemon.uri))
        served = _Served(box, conn, box.upload("guest", IMAGE.read_bytes(), "qcow2"))
        served.boot()  # fills the image cache
        template = take_template(conn, served.id, box.state / "instances" / served.id)
        served.delete()
        root = bench.directory()
        cpu = box.cpu_seconds()
        for number in range(n):
            bare = BareGuest(conn, template, root, daemon.owner)
            stack.callback(bare.discard)
            turns: list[tuple[str, _Served | BareGuest]] = [("served", served), ("bare", bare)]
            for name, guest in turns if number % 2 == 0 else reversed(turns):
                pairs.take(name, guest)
            bench.say(
                f"guest {number + 1}/{n}: boot {pairs.boots['served'][-1]:.0f} over {pairs.boots['bare'][-1]:.0f} ms, "
                f"delete {pairs.deletions['served'][-1]:.0f} over {pairs.deletions['bare'][-1]:.0f} ms"
            )
        cpu = (box.cpu_seconds() - cpu) / n
    extra = {"box_cpu": Series("CPU-s of the box per guest, made and deleted, polling included", [cpu], "CPU-s")}
    yield _figure("boot_over_libvirt", pairs.boots, "POST to ACTIVE over qemu-img create + define + start", extra)
    beyond = {name: [sample % GRID_MS for sample in samples] for name, samples in pairs.deletions.items()}
    added = [one - bare for one, bare in zip(beyond["served"], beyond["bare"], strict=True)]
    yield _figure(
        "delete_over_libvirt",
        pairs.deletions,
        f"DELETE until 404, no domain and no file over destroy + undefine + unlink (libvirt waits in steps of "
        f"{GRID_MS:g} ms for QEMU's end, which hides small differences: see added)",
        {"added": Series(f"the time beyond steps of {GRID_MS:g} ms, through the API less bare", added, "ms")},
    )


def _figure(key: str, times: dict[str, list[float]], what: str, extra: dict[str, Series]) -> Figure:
    served, bare = times["served"], times["bare"]
    return Figure(
        key,
        [one / other for one, other in zip(served, bare, strict=True)],
        f"{what} of the same domain XML, in turns on the same private daemon; ratio of the medians, samples are pairs",
        Series("bare libvirt", bare, "ms"),
        {"served": Series("through the API", served, "ms"), **extra},
        given=ratio(served, bare),
    )


GROUP = Group(("boot_over_libvirt", "delete_over_libvirt"), _measure)
