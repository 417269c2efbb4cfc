# SPDX-License-Identifier: Apache-2.0
"""The screen of a real guest on the page: from the click to the first picture."""

import contextlib
import socket
import struct
import time
from collections.abc import Iterator

import libvirt
from playwright.sync_api import Browser, StorageState

from bench.box import FLAVOR, LIBVIRT, Box
from bench.browser import LIMIT_MS, browser, log_in
from bench.figures import CannotMeasure, Figure, Series
from bench.run import Bench, Group
from lab.common import LabError
from lab.guest_image import IMAGE
from lab.libvirtd import PrivateLibvirtd

LIMIT_S = 120.0
POLL_S = 0.1
SPOKEN = "ready"
"""The guest prints it at the end of its boot."""
BYTES_PER_PIXEL = 4

_CLICKED = """\
(limit) => {
  const lit = (canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return new Uint32Array(data.buffer).some((pixel) => (pixel & 0xffffff) !== 0);
  };
  window.benchPicture = new Promise((done, failed) => {
    const begin = ({ timeStamp }) => {
      const look = (now) => {
        const canvas = document.querySelector("canvas");
        if (canvas && canvas.width > 0 && lit(canvas)) done(performance.now() - timeStamp);
        else if (now - timeStamp > limit) failed(new Error("the screen stays black"));
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    };
    document.addEventListener("click", begin, { capture: true, once: true });
  });
}
"""
"""A promise of the milliseconds from the next click until a canvas is not black."""


def _guest(box: Box) -> str:
    """A real guest that has booted."""
    image = box.upload("guest", IMAGE.read_bytes(), "qcow2")
    body = {"server": {"name": "screen", "imageRef": image, "flavorRef": FLAVOR, "networks": "auto"}}
    server = str(box.web.expect(202, "POST", "/compute/v2.1/servers", body).json()["server"]["id"])
    path, begun = f"/compute/v2.1/servers/{server}", time.monotonic()
    while time.monotonic() - begun < LIMIT_S:
        if box.web.expect(200, "GET", path).json()["server"]["status"] == "ACTIVE":
            said = box.web.expect(200, "POST", f"{path}/action", {"os-getConsoleOutput": {}}).json()
            if SPOKEN in said["output"]:
                return server
        time.sleep(POLL_S)
    raise CannotMeasure(f"A real guest did not boot within {LIMIT_S:g} s")


def _page_ms(started: Browser, box: Box, server: str, cookies: StorageState) -> tuple[float, float]:
    """From the click to the picture: with an empty cache, and once more in the same window."""
    context = started.new_context(storage_state=cookies)
    try:
        page = context.new_page()
        page.set_default_timeout(LIMIT_MS)
        page.goto(f"{box.url}/ui/servers/{server}/console")
        page.get_by_role("log").wait_for()
        found: list[float] = []
        for _ in range(2):
            page.evaluate(_CLICKED, LIMIT_MS)
            page.get_by_role("button", name="Screen", exact=True).click()
            found.append(float(page.evaluate("benchPicture")))
            page.get_by_role("button", name="Output", exact=True).click()
            page.get_by_role("log").wait_for()
        return found[0], found[1]
    finally:
        context.close()


def _bare_ms(domain: libvirt.virDomain) -> float:
    """The whole picture by RFB from QEMU itself, over a socket of libvirt's."""
    begun = time.perf_counter()
    descriptor = domain.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
    with socket.socket(fileno=descriptor) as screen, screen.makefile("rb") as read:
        screen.settimeout(LIMIT_S)
        screen.sendall(read.read(12))
        read.read(read.read(1)[0])
        screen.sendall(b"\x01")
        read.read(4)
        screen.sendall(b"\x01")
        width, height, length = struct.unpack(">HH16xI", read.read(24))
        read.read(length)
        screen.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        _, count = struct.unpack(">BxH", read.read(4))
        for _ in range(count):
            columns, rows = struct.unpack(">4xHH4x", read.read(12))
            read.read(columns * rows * BYTES_PER_PIXEL)
    return (time.perf_counter() - begun) * 1e3


def _measure(bench: Bench) -> Iterator[Figure]:
    if not IMAGE.exists():
        raise CannotMeasure("There is no guest image (make setup).")
    first: list[float] = []
    again: list[float] = []
    control: list[float] = []
    with contextlib.ExitStack() as stack:
        try:
            daemon = stack.enter_context(PrivateLibvirtd(bench.directory()))
        except LabError as exc:
            raise CannotMeasure(f"No private libvirtd: {exc.sentence}") from exc
        conn = libvirt.open(daemon.uri)
        stack.callback(conn.close)
        box = stack.enter_context(Box(bench.directory(), driver=LIBVIRT, uri=daemon.uri))
        server = _guest(box)
        domain = conn.lookupByUUIDString(server)
        started = stack.enter_context(browser())
        context = started.new_context()
        log_in(context.new_page(), box)
        cookies = context.storage_state()
        context.close()
        for _ in range(bench.n(15, 5)):
            control.append(_bare_ms(domain))
            times = _page_ms(started, box, server, cookies)
            first.append(times[0])
            again.append(times[1])
    yield Figure(
        "screen_ms",
        first,
        "from the click until the canvas of the page shows a picture of a real guest (private libvirtd), in Chromium, "
        "the code of the screen not yet loaded; in turns with the control",
        Series("the whole picture by RFB over a socket from libvirt, without service and browser", control, "ms"),
        {"again": Series("once more in the same window", again, "ms")},
    )


GROUP = Group(("screen_ms",), _measure)
