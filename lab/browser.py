# SPDX-License-Identifier: Apache-2.0
"""The distribution's Chromium, driven by Playwright: for the tests and the figures of the web page."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager

from playwright.sync_api import Browser, Error, sync_playwright

from lab.common import LabError


@contextmanager
def chromium() -> Generator[Browser]:
    """A browser without windows, until the end of the block.  Raises LabError when it does not start.

    Until then Playwright leaves an event loop running in this thread, where no `asyncio.run` works.
    """
    program = shutil.which("chromium")
    if program is None:
        raise LabError("chromium is not installed.", "apt-get install chromium")
    # Chromium refuses to sandbox its processes as root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=program, args=arguments)
        except Error as error:
            raise LabError(f"Chromium does not start: {error.message.splitlines()[0]}") from error
        try:
            yield browser
        finally:
            browser.close()
