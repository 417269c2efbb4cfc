# SPDX-License-Identifier: Apache-2.0
"""Server groups: create, delete, add new instances, and the constraints on their hosts.

Joining and placing lock the group's row, so that each of two simultaneous transactions sees the changes of the other.
Therefore two simultaneous builds never break a policy, and a group never has more members than permitted.
"""

from collections.abc import Sequence

from kilonova.base.errors import InvalidInput
from kilonova.conductor import quota
from kilonova.config.quota import QuotaSettings
from kilonova.db.readers import quotas as read_quotas
from kilonova.db.readers import server_groups as read_groups
from kilonova.db.transaction import Transaction
from kilonova.db.writers import server_groups as write_groups
from kilonova.objects.instance import Instance
from kilonova.objects.placement import GroupConstraint
from kilonova.objects.server_group import MAX_SERVER_PER_HOST, ServerGroup


def create(tx: Transaction, group: ServerGroup, quotas: QuotaSettings) -> None:
    """Raises OverQuota.  A repeat changes nothing."""
    if write_groups.insert(tx, group):
        limits = read_quotas.limits(tx, quotas.defaults, group.project_id)
        count = read_quotas.server_groups_of(tx, group.project_id)
        quota.check_count(limits, "server_groups", count, "Quota exceeded, too many server groups.")


def join(tx: Transaction, quotas: QuotaSettings | None, instances: Sequence[Instance]) -> None:
    """New instances of one request join their group, which their records name.  Raises InvalidInput if the group does
    not exist any more, OverQuota; without `quotas` no limit applies."""
    group_id = instances[0].server_group_id if instances else None
    if group_id is None:
        return
    group = write_groups.lock(tx, group_id)
    if group is None:
        raise InvalidInput(f"Instance group {group_id} could not be found.", path="os:scheduler_hints.group")
    if quotas is not None:
        limits = read_quotas.limits(tx, quotas.defaults, group.project_id)
        count = read_groups.count_members(tx, group_id)
        quota.check_count(limits, "server_group_members", count, "Quota exceeded, too many servers in group")


def constraint(tx: Transaction, instance: Instance) -> GroupConstraint | None:
    """The constraints of an instance's group on its host, until the transaction ends."""
    group = None if instance.server_group_id is None else write_groups.lock(tx, instance.server_group_id)
    if group is None:
        return None
    others = read_groups.hosts_of_others(tx, group.id, instance.id)
    return GroupConstraint(group.policy, others, group.rules.get(MAX_SERVER_PER_HOST, 1))
