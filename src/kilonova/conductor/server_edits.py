# SPDX-License-Identifier: Apache-2.0
"""A server's name and similar fields, its metadata and its tags.  One transaction reads, changes and writes them, so
that simultaneous edits are all kept."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kilonova.base.errors import InvalidInput, InvalidState
from kilonova.base.unset import given
from kilonova.conductor import outbox, quota
from kilonova.config.quota import QuotaSettings
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import quotas as read_quotas
from kilonova.db.transaction import Transaction
from kilonova.db.writers import instances as write_instances
from kilonova.objects.instance import Instance
from kilonova.objects.states import VmState
from kilonova.rpcapi.api_to_conductor import EditMetadata, EditTags, UpdateServer

_EDITABLE = frozenset({VmState.ACTIVE, VmState.PAUSED, VmState.SUSPENDED, VmState.STOPPED})


def update(tx: Transaction, request: UpdateServer, now: datetime) -> None:
    """Raises NotFound.  A repeat changes nothing."""
    instance = read_instances.get(tx, request.instance_id)
    changes = {name: value for name, value in given(request).items() if getattr(instance, name) != value}
    if changes:
        _write(tx, instance, now, changes)


def edit_metadata(tx: Transaction, request: EditMetadata, now: datetime, quotas: QuotaSettings) -> None:
    """Raises NotFound, InvalidState, OverQuota.  A repeat changes nothing."""
    instance = read_instances.get(tx, request.instance_id)
    if instance.locked_by is not None and not request.context.is_admin:
        raise InvalidState(f"Instance {instance.id} is locked", vm_state=instance.vm_state, locked=True)
    _check_state(instance, "metadata")
    kept = {} if request.replace else {k: v for k, v in instance.metadata.items() if k not in request.remove}
    metadata = {**kept, **request.put}
    quota.check_metadata(read_quotas.limits(tx, quotas.defaults, instance.project_id), metadata)
    if metadata != instance.metadata:
        _write(tx, instance, now, {"metadata": metadata})


def edit_tags(tx: Transaction, request: EditTags, now: datetime) -> None:
    """Raises NotFound, InvalidState, InvalidInput.  A repeat changes nothing.  A user who may not change a locked
    server can still tag it, as in Nova."""
    instance = read_instances.get(tx, request.instance_id)
    _check_state(instance, "tags")
    kept = () if request.replace else tuple(tag for tag in instance.tags if tag not in request.remove)
    tags = tuple(dict.fromkeys((*kept, *request.put)))
    if len(tags) > request.limit:
        raise InvalidInput(f"The number of tags exceeded the per-server limit {request.limit}.", path="tags")
    if tags != instance.tags:
        _write(tx, instance, now, {"tags": list(tags)})


def _write(tx: Transaction, instance: Instance, now: datetime, changes: Mapping[str, Any]) -> None:
    write_instances.update(tx, instance.id, now, **changes)
    outbox.updated(tx, instance, now)


def _check_state(instance: Instance, what: str) -> None:
    if instance.vm_state not in _EDITABLE:
        raise InvalidState(
            f"Cannot change {what} of instance {instance.id} while it is in vm_state {instance.vm_state}",
            vm_state=instance.vm_state,
        )
