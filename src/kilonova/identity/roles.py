# SPDX-License-Identifier: Apache-2.0
"""The default roles, and the roles that they imply.

Source: Keystone's default roles.
"""

from collections.abc import Iterable, Mapping

IMPLIED: Mapping[str, tuple[str, ...]] = {
    "admin": ("member", "reader"),
    "member": ("reader",),
    "reader": (),
}
"""Each role with all roles that it includes."""

RULES: Mapping[str, str] = {"admin": "member", "member": "reader"}
"""The direct implications, as Identity's inference rules show them."""


def with_implied(roles: Iterable[str]) -> tuple[str, ...]:
    """These roles and the roles that they imply, sorted; an unknown role implies nothing."""
    given = set(roles)
    return tuple(sorted(given.union(*(IMPLIED.get(role, ()) for role in given))))
