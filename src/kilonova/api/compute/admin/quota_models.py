# SPDX-License-Identifier: Apache-2.0
"""Bodies of PUT /os-quota-sets and /os-quota-class-sets, and which resources each microversion knows.

Source: Compute API reference, "Quota sets" and "Quota class sets".
"""

from collections.abc import Collection
from typing import Annotated

from pydantic import Field

from kilonova.api.compute.fields import Boolean, Whole
from kilonova.api.http.body import Body
from kilonova.api.http.microversion import Microversion, v2
from kilonova.base.errors import InvalidInput

_GROUPS = ("server_groups", "server_group_members")
_FILES = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")
_ADDRESSES = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")

WITHOUT_EFFECT = dict.fromkeys(_ADDRESSES, -1)
"""Limits of what does not exist here, for clients of the microversions that had it: they are kept and shown as they are
set, and nothing is measured by them (as in Nova since it has no networks of its own)."""


def of_projects(version: Microversion) -> tuple[str, ...]:
    """The resources of a quota set: addresses and security groups went with 2.36, injected files with 2.57."""
    known = ("instances", "cores", "ram", "metadata_items", "key_pairs", *_GROUPS)
    files = _FILES if version < v2(57) else ()
    return (*known, *files, *(_ADDRESSES if version < v2(36) else ()))


def of_classes(version: Microversion) -> tuple[str, ...]:
    """The resources of a quota class, which learned all this with 2.50."""
    late, gone = (_GROUPS, ()) if version < v2(50) else ((), _ADDRESSES)
    known = of_projects(version if version >= v2(50) else v2(1))
    return tuple(name for name in known if name not in (*late, *gone))


_Limit = Annotated[Whole, Field(ge=-1, le=0x7FFFFFFF)]


class Limits(Body):
    """Only members that came are set; -1 is no limit."""

    instances: _Limit | None = None
    cores: _Limit | None = None
    ram: _Limit | None = None
    metadata_items: _Limit | None = None
    key_pairs: _Limit | None = None
    server_groups: _Limit | None = None
    server_group_members: _Limit | None = None
    injected_files: _Limit | None = None
    injected_file_content_bytes: _Limit | None = None
    injected_file_path_bytes: _Limit | None = None
    fixed_ips: _Limit | None = None
    floating_ips: _Limit | None = None
    security_groups: _Limit | None = None
    security_group_rules: _Limit | None = None

    def asked(self, known: Collection[str], of: str) -> dict[str, int]:
        """What is to be set.  Raises InvalidInput for a member of `of` that the microversion does not know."""
        members: dict[str, int | None] = {name: getattr(self, name) for name in Limits.model_fields}
        limits = {name: value for name, value in members.items() if value is not None}
        for name in limits:
            if name not in known:
                message = f"Additional properties are not allowed ('{name}' was unexpected)"
                raise InvalidInput(message, path=f"{of}.{name}")
        return limits


class ProjectLimits(Limits):
    """With `force` a limit may be below what is used."""

    force: Boolean = False


class UpdateQuotaSet(Body):
    quota_set: ProjectLimits


class UpdateQuotaClassSet(Body):
    quota_class_set: Limits
