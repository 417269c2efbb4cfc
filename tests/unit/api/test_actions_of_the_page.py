# SPDX-License-Identifier: Apache-2.0
"""The web page offers each action of the Compute API, or docs/ui.md says why it does not."""

import re
from pathlib import Path

from kilonova.api.compute.servers.actions.table import ACTIONS

TOP = Path(__file__).parents[3]
PAGE = TOP / "src/kilonova/ui/static/app/views/servers/actions.js"
ROUTE = {"delete"}
"""What the page has among its actions, and the API as a route of its own."""


def test_each_action_is_on_the_page_or_is_left_out_with_a_reason() -> None:
    offered = set(re.findall(r'\bapi: "([\w-]+)"', PAGE.read_text())) - ROUTE
    _, _, table = (TOP / "docs/ui.md").read_text().partition("| action that the page does not offer |")
    rows = table.partition("\n\n")[0].splitlines()[2:]
    left_out = [name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[1])]
    assert sorted([*offered, *left_out]) == sorted(ACTIONS)
