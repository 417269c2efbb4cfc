# SPDX-License-Identifier: Apache-2.0
"""Situations to be looked at."""

from pathlib import Path
from typing import Any

from kilonova.config.load import load
from kilonova.doctor.subject import Places, Subject, User, subject_of

QEMU = User("libvirt-qemu", 64055, frozenset({107, 64055}))


def subject(state: Path, places: Places | None = None, **options: Any) -> Subject:
    """A host with its state in `state`; options are `group__name`, those of [DEFAULT] without a group."""
    overrides: dict[tuple[str, str], Any] = {("DEFAULT", "state_path"): str(state)}
    for key, value in options.items():
        group, _, name = key.rpartition("__")
        overrides[group or "DEFAULT", name] = value
    return subject_of(load(overrides=overrides), places)
