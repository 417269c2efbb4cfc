# SPDX-License-Identifier: Apache-2.0
"""10,000 characters in each of five layouts arrive whole: `make test ARGS=tests/browser/long_paste.py`.

No other run collects this file, by its name: QEMU takes no key more than one in 10 ms, so each layout takes minutes.
"""

import pytest
from playwright.sync_api import expect

from tests.browser.guest import TEXTS, end, open_screen, paste, read, shell
from tests.browser.people import Person, World
from tests.browser.test_consoles import server_id

__all__ = ["server_id"]

pytestmark = pytest.mark.live
REAL_GUESTS = True

LONG = 10_000
MOST_MS = 20 * 60_000


@pytest.mark.parametrize("layout", TEXTS)
def test_ten_thousand_characters_arrive_whole(admin: Person, world: World, server_id: str, layout: str) -> None:
    screen = open_screen(admin, server_id)
    name, text = TEXTS[layout]
    whole = (text * LONG)[:LONG]
    paste(admin, "cat >/dev/null\n", "English (US)")  # so that the guest does not run what follows
    expect(admin.page.get_by_role("dialog")).to_have_count(0)
    with shell(world.box, server_id) as guest:
        guest.listen()
    paste(admin, whole, name)
    expect(admin.page.get_by_role("dialog")).to_have_count(0, timeout=MOST_MS)
    end(admin, screen)
    with shell(world.box, server_id) as guest:
        assert read(guest, layout) == whole
