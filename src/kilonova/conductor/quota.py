# SPDX-License-Identifier: Apache-2.0
"""Quotas: the limits of a project, enforced in the transaction that accepts a request.

The usage of an instance follows from its record (`usage_of`): it is charged when the record is made, charged again when
its flavors change, and released when the instance is marked deleted.  So it is released exactly once, and at every
commit `quota_usages` is the sum over the existing instances, without a query that sums them up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from kilonova.base.errors import InvalidInput, OverQuota
from kilonova.config.quota import QuotaSettings
from kilonova.db.readers import quotas as read_quotas
from kilonova.db.transaction import Transaction
from kilonova.db.writers import quotas as write_quotas
from kilonova.objects.instance import Instance
from kilonova.objects.quota import UNLIMITED, Limits, Usage, usage_of
from kilonova.rpcapi.api_to_conductor import SetQuotas

_NO_END = 1 << 31
_SIZES = frozenset({"flavor", "old_flavor", "new_flavor"})


def take(tx: Transaction, limits: Limits, project_id: str, wanted: Usage) -> None:
    """Charge all of the usage.  Raises OverQuota and then charges nothing."""
    if not write_quotas.take(tx, project_id, wanted, limits):
        raise _over(wanted, read_quotas.usage(tx, project_id), limits)


def give_back(tx: Transaction, project_id: str, usage: Usage) -> None:
    """Release the usage."""
    write_quotas.move(tx, project_id, -usage)


def take_for(
    tx: Transaction, quotas: QuotaSettings | None, instances: Sequence[Instance], least: int | None = None
) -> int:
    """Charge the usage of new instances of one project.  Returns for how many of them, from the first.

    The result is all of them.  With `least` it is as many as the limits permit, but at least `least`.  Otherwise it
    raises OverQuota and charges nothing.  Without `quotas` it is all of them.
    """
    project_id, count = instances[0].project_id, len(instances)
    if quotas is None:
        write_quotas.move(tx, project_id, _usage_of(instances))
        return count
    # In most cases no other limit is needed, and all instances fit: then this is the only statement.
    has_metadata = any(instance.metadata for instance in instances)
    if not has_metadata and write_quotas.take_within_limits(tx, project_id, _usage_of(instances), quotas.defaults):
        return count
    limits = read_quotas.limits(tx, quotas.defaults, project_id)
    if least is not None:
        used = read_quotas.usage(tx, project_id)
        count = max(least, min(count, _room(usage_of(instances[0]), used, limits)))
    take(tx, limits, project_id, _usage_of(instances[:count]))
    for instance in instances[:count]:
        check_metadata(limits, instance.metadata)
    return count


def _usage_of(instances: Sequence[Instance]) -> Usage:
    return sum((usage_of(instance) for instance in instances), Usage())


def _room(each: Usage, used: Usage, limits: Limits) -> int:
    """How many more instances of one size the limits permit."""
    sizes, has = asdict(each), asdict(used)
    limited = [name for name, size in sizes.items() if size and limits[name] != UNLIMITED]
    return min((max(0, limits[name] - has[name]) // sizes[name] for name in limited), default=_NO_END)


def charge_difference(
    tx: Transaction, quotas: QuotaSettings | None, instance: Instance, values: Mapping[str, Any]
) -> None:
    """Charge or release the difference in an instance's usage after these columns have changed.  Raises OverQuota; not
    without `quotas`: an outcome is recorded whatever the limits."""
    sizes = {name: value for name, value in values.items() if name in _SIZES}
    more = usage_of(replace(instance, **sizes)) - usage_of(instance) if sizes else Usage()
    if quotas is None:
        if more != Usage():
            write_quotas.move(tx, instance.project_id, more)
    elif sizes or "metadata" in values:
        limits = read_quotas.limits(tx, quotas.defaults, instance.project_id)
        take(tx, limits, instance.project_id, more)
        check_metadata(limits, values.get("metadata", {}))


def check_metadata(limits: Limits, metadata: Mapping[str, str]) -> None:
    """Raises OverQuota for more items than a server may have."""
    words = f"Maximum number of metadata items exceeds {limits['metadata_items']}."
    check_count(limits, "metadata_items", len(metadata), words)


def check_keypairs(tx: Transaction, limits: Limits, user_id: str) -> None:
    """Raises OverQuota when a user has more key pairs than the caller's project allows."""
    count = read_quotas.keypairs_of(tx, user_id)
    check_count(limits, "key_pairs", count, "Quota exceeded, too many key pairs.")


def check_count(limits: Limits, resource: str, count: int, words: str) -> None:
    """Raises OverQuota, with this message, when there are too many of something after the changes of this
    transaction."""
    if _beyond(count, limits[resource]):
        raise OverQuota(words, resource=resource, limit=limits[resource])


def set_limits(tx: Transaction, request: SetQuotas) -> None:
    """Raises InvalidInput, and sets nothing, for a limit below the usage; with `force` it sets the limit."""
    used = asdict(write_quotas.locked_usage(tx, request.project_id))
    used["server_groups"] = read_quotas.server_groups_of(tx, request.project_id)
    for resource, limit in request.limits.items():
        least = used.get(resource, 0)
        if _beyond(least, limit) and not request.force:
            raise InvalidInput(
                f"Quota limit {limit} for {resource} must be greater than or equal to already used and reserved "
                f"{least}.",
                path=f"quota_set.{resource}",
            )
    write_quotas.set_limits(tx, request.project_id, request.limits)
    write_quotas.delete_limits(tx, request.project_id, request.forgotten)


def _beyond(count: int, limit: int) -> bool:
    return limit != UNLIMITED and count > limit


def _over(wanted: Usage, used: Usage, limits: Limits) -> OverQuota:
    """Nova's message: the exceeded resources in alphabetical order, and the numbers in the same order."""
    requested, has = asdict(wanted), asdict(used)
    over = [
        name for name in sorted(requested) if requested[name] > 0 and _beyond(requested[name] + has[name], limits[name])
    ]
    names, requested, already, allowed = (
        ", ".join(map(str, row))
        for row in (over, [requested[n] for n in over], [has[n] for n in over], [limits[n] for n in over])
    )
    return OverQuota(
        f"Quota exceeded for {names}: Requested {requested}, but already used {already} of {allowed} {names}",
        overs=over,
    )
