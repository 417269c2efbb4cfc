# SPDX-License-Identifier: Apache-2.0
"""Roles that every cloud has, and what they imply.

Source: Keystone's default roles.
"""

from collections.abc import Iterable, Mapping

IMPLIED: Mapping[str, tuple[str, ...]] = {
    "admin": ("member", "reader"),
    "member": ("reader",),
    "reader": (),
}
"""Each role with all that it includes."""

RULES: Mapping[str, str] = {"admin": "member", "member": "reader"}
"""The same as Identity's inference rules: what each implies by itself."""


def with_implied(roles: Iterable[str]) -> tuple[str, ...]:
    """These roles and those that they imply, sorted; a role that is not ours implies nothing."""
    given = set(roles)
    return tuple(sorted(given.union(*(IMPLIED.get(role, ()) for role in given))))
