# SPDX-License-Identifier: Apache-2.0
"""A server's metadata and tags: read, changed and written in one transaction, so that no two edits undo each other."""

from datetime import datetime

import sqlalchemy as sa

from kilonova.base.errors import InvalidInput
from kilonova.conductor import quota
from kilonova.config.quota import QuotaSettings
from kilonova.db.readers import instances as read_instances
from kilonova.db.readers import quotas as read_quotas
from kilonova.db.writers import instances as write_instances
from kilonova.rpcapi.conductor import EditMetadata, EditTags


def edit_metadata(connection: sa.Connection, request: EditMetadata, now: datetime, quotas: QuotaSettings) -> None:
    """Raises NotFound, OverQuota.  A repeat changes nothing."""
    instance = read_instances.get(connection, request.instance_id)
    kept = {} if request.replace else {k: v for k, v in instance.metadata.items() if k not in request.remove}
    metadata = {**kept, **request.put}
    quota.check_metadata(read_quotas.limits(connection, quotas.defaults, instance.project_id), metadata)
    if metadata != instance.metadata:
        write_instances.update(connection, instance.id, now, metadata=metadata)


def edit_tags(connection: sa.Connection, request: EditTags, now: datetime) -> None:
    """Raises NotFound, InvalidInput.  A repeat changes nothing."""
    instance = read_instances.get(connection, request.instance_id)
    kept = () if request.replace else tuple(tag for tag in instance.tags if tag not in request.remove)
    tags = tuple(dict.fromkeys((*kept, *request.put)))
    if len(tags) > request.limit:
        raise InvalidInput(f"The number of tags exceeded the per-server limit {request.limit}.", path="tags")
    if tags != instance.tags:
        write_instances.update(connection, instance.id, now, tags=list(tags))
