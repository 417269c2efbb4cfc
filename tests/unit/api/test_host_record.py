# SPDX-License-Identifier: Apache-2.0
"""What the record of a host shows of its health."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from kilonova import CODE_VERSION
from kilonova.api.ui.host_record import findings
from tests.unit.scheduler.test_choose import node

USUAL = node("h1")
NOW = USUAL.service.updated_at + timedelta(seconds=7)


@pytest.mark.parametrize(
    ("service", "check", "level", "words"),
    [
        ({}, "heartbeats", "ok", "7 s ago"),
        ({"up": False}, "heartbeats", "error", "is down"),
        ({"up": False, "forced_down": True}, "heartbeats", "warning", "forced"),
        ({"version": CODE_VERSION - 1}, "code-version", "warning", f"{CODE_VERSION - 1}"),
        ({}, "in-service", "ok", "enabled"),
        (
            {"disabled": True, "disabled_reason": "new disk"},
            "in-service",
            "note",
            "operator has disabled the host: new",
        ),
        ({"disabled": True, "disabled_reason": None}, "in-service", "note", "no reason was given"),
        (
            {"disabled": True, "disabled_by_host": True, "disabled_reason": "no libvirt"},
            "in-service",
            "error",
            "itself",
        ),
    ],
)
def test_a_service(service: dict[str, Any], check: str, level: str, words: str) -> None:
    usual = replace(USUAL.service, up=True, disabled=False, version=CODE_VERSION)
    found = {one.check: one for one in findings(replace(usual, **service), USUAL, NOW)}[check]
    assert (found.level, words in found.found) == (level, True), found
    assert bool(found.cure) == (level != "ok")


def test_a_node() -> None:
    def checks(*of: Any) -> dict[str, str]:
        return {one.check: one.found for one in findings(USUAL.service, *of, NOW)}

    assert checks(USUAL).keys() == {"heartbeats", "in-service", "code-version"}
    assert "has not reported" in checks(None)["inventory"]
    full = replace(USUAL, failed_builds=3, inventory=replace(USUAL.inventory, disk_short="2 GiB are free"))
    assert "2 GiB are free." in checks(full)["inventory"]
    assert checks(full)["failed-builds"].endswith(": 3.")
