# SPDX-License-Identifier: Apache-2.0
"""Bodies and answers of /os-quota-sets and /os-quota-class-sets, with the microversions of each resource.

Source: Compute API reference, "Quota sets" and "Quota class sets".
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from kilonova.api.compute.fields import Boolean, Whole
from kilonova.api.http.body import Body
from kilonova.api.http.call import Call
from kilonova.api.http.microversion import MAX, MIN, Microversion, v2
from kilonova.api.http.views import Member, View, one
from kilonova.base.errors import InvalidInput
from kilonova.objects.quota import UNLIMITED

_COUNTED = ("instances", "cores", "ram", "metadata_items", "key_pairs", "server_groups", "server_group_members")
_FILES = ("injected_files", "injected_file_content_bytes", "injected_file_path_bytes")
_ADDRESSES = ("fixed_ips", "floating_ips", "security_groups", "security_group_rules")
_LAST_WITH_FILES = v2(56)

WITHOUT_EFFECT = dict.fromkeys(_ADDRESSES, UNLIMITED)
"""Limits of resources that do not exist here, for clients of older microversions: they are stored and shown, and have
no effect (as in Nova since its own networks were removed)."""

_PROJECT_UNTIL: Mapping[str, Microversion] = {
    **dict.fromkeys(_COUNTED, MAX),
    **dict.fromkeys(_FILES, _LAST_WITH_FILES),
    **dict.fromkeys(_ADDRESSES, v2(35)),
}
"""The resources of a quota set, with the last microversion of each."""

_CLASS_SINCE = {"server_groups": v2(50), "server_group_members": v2(50)}
_CLASS_UNTIL: Mapping[str, Microversion] = {**_PROJECT_UNTIL, **dict.fromkeys(_ADDRESSES, v2(49))}
"""The resources of a quota class; the resources of addresses ended later than in quota sets."""


@dataclass(frozen=True, slots=True)
class Quotas:
    """Limits of `owner`, a project or a class; `used` for details."""

    owner: str
    limits: Mapping[str, int]
    used: Mapping[str, int] = field(default_factory=dict[str, int])


class QuotaDetail(TypedDict):
    """The limit and the usage of a resource.  Nothing is ever reserved: usage counts at once."""

    limit: int
    in_use: int
    reserved: int


M = Member[Quotas, Call]
_ID = M("id", str, lambda quotas, _: quotas.owner)


def _limit(name: str, since: Microversion, until: Microversion) -> M:
    return M(name, int, lambda quotas, _: quotas.limits[name], since, until)


def _detail(name: str, until: Microversion) -> M:
    def get(quotas: Quotas, _: Call) -> QuotaDetail:
        return {"limit": quotas.limits[name], "in_use": quotas.used.get(name, 0), "reserved": 0}

    return M(name, QuotaDetail, get, until=until)


_PROJECT = [_limit(name, MIN, until) for name, until in _PROJECT_UNTIL.items()]
_CLASS = [_limit(name, _CLASS_SINCE.get(name, MIN), until) for name, until in _CLASS_UNTIL.items()]

QUOTA_SET = one("quota_set", View("QuotaSet", _ID, *_PROJECT))
UPDATED_QUOTA_SET = one("quota_set", View("UpdatedQuotaSet", *_PROJECT))
QUOTA_DETAILS = one(
    "quota_set", View("QuotaSetDetails", _ID, *(_detail(name, until) for name, until in _PROJECT_UNTIL.items()))
)
QUOTA_CLASS = one("quota_class_set", View("QuotaClassSet", _ID, *_CLASS))
UPDATED_QUOTA_CLASS = one("quota_class_set", View("UpdatedQuotaClassSet", *_CLASS))


def of_projects(version: Microversion) -> tuple[str, ...]:
    """The resources of a quota set at a microversion."""
    return tuple(member.name for member in _PROJECT if member.is_in(version))


def of_classes(version: Microversion) -> tuple[str, ...]:
    """The resources of a quota class at a microversion."""
    return tuple(member.name for member in _CLASS if member.is_in(version))


_Limit = Annotated[Whole, Field(ge=-1, le=0x7FFFFFFF)]


class Limits(Body):
    """Only the given members are set; -1 means unlimited."""

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

    def given(self, known: Collection[str], of: str) -> dict[str, int]:
        """The given limits.  Raises InvalidInput for a member of `of` that does not exist at the microversion."""
        members: dict[str, int | None] = {name: getattr(self, name) for name in Limits.model_fields}
        limits = {name: value for name, value in members.items() if value is not None}
        for name in limits:
            if name not in known:
                message = f"Additional properties are not allowed ('{name}' was unexpected)"
                raise InvalidInput(message, path=f"{of}.{name}")
        return limits


class ProjectLimits(Limits):
    """With `force`, a limit can be lower than the usage."""

    force: Boolean = False


class UpdateQuotaSet(Body):
    quota_set: ProjectLimits


class UpdateQuotaClassSet(Body):
    quota_class_set: Limits
