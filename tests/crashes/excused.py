# SPDX-License-Identifier: Apache-2.0
"""Failpoints that the matrix does not reach: they need a situation of their own, which has a test of its own."""

from collections.abc import Mapping

_TWO = "two processes of one host, or the orderly end of one: tests/simulation/test_two_processes.py"
_GONE = "a host that is given up: tests/simulation/test_gone.py"
_STORES = "several image stores: tests/live/test_fleet_images.py"
_DOWN = "a host that is silent: tests/simulation/test_conductors.py"
_CLOCK = "time that passes, or a clock that jumps: tests/unit/conductor/test_deadlines.py"
_PURGE = "records that are old, or too many: tests/unit/conductor/test_housekeeping.py"
_FLEET = "only processes of a fleet do it"

ANYWHERE: Mapping[str, str] = {
    "adopt_host": _TWO,
    "contest": _TWO,
    "leave": _TWO,
    "refuse_process": _TWO,
    "copies_removed": _GONE,
    "delete_service": _GONE,
    "forget_host": _GONE,
    "find_image": _STORES,
    "forget_store": _STORES,
    "record_copy": _STORES,
    "call_down": _DOWN,
    "call_up": _DOWN,
    "suspect": _DOWN,
    "confirm_due": _CLOCK,
    "expire": _CLOCK,
    "forget_reports": _CLOCK,
    "move_windows": _CLOCK,
    "purge_servers": _PURGE,
    "purge_actions": _PURGE,
    "purge_expired": _PURGE,
    "remove_purged_rows": _PURGE,
    "give_back_space": _PURGE,
    "cancel": "a cancel in each step of each verb: tests/simulation/test_cancel.py",
    "classify_guests": "a guest without a server; it only reads: tests/live/test_verify.py",
    "mend_host": "damage on a host: tests/live/test_verify.py",
    "heartbeat": "a host of version 1: tests/live/test_rolling.py",
    "record_events": "the report of an action that takes long: random crashes in tests/simulation/test_explore.py",
    "notify": "an error of libvirt: tests/unit/conductor/test_notifications.py",
    "revoke_token": "it ends the session of the matrix: tests/unit/conductor/test_identity_edits.py",
    "rotate_key": "it ends the session of the matrix: tests/unit/conductor/test_signing_keys.py",
    "rotate_signing_key": "it ends the session of the matrix: tests/unit/conductor/test_signing_keys.py",
}
"""By the name of a method or a transaction: the reason."""
IN_A_BOX: Mapping[str, str] = {
    "claim_round": _FLEET,
    "evacuate": _FLEET,
    "record_published": _FLEET,
    "report_image_store": _FLEET,
    "report_service": _FLEET,
    "report_store": _FLEET,
}


def is_excused(role: str, point: str) -> bool:
    """Whether the matrix need not reach the failpoint of a process with this role."""
    name = point.split(".")[1]
    return name in ANYWHERE or (role == "box" and name in IN_A_BOX)
