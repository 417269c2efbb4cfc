# SPDX-License-Identifier: Apache-2.0
"""createImage, createBackup: the root disk becomes an image.  The image's record is made with the action, and an
unfinished record is deleted with it."""

from collections.abc import Mapping

from kilonova.conductor import image_quota, images
from kilonova.conductor.verbs.handler import Acceptance, Accepted, Columns, Ending, VerbHandler
from kilonova.db.transaction import Transaction
from kilonova.objects.action_params import BackupParams, BackupRequest, SnapshotParams, SnapshotRequest
from kilonova.objects.states import Verb


def accept(tx: Transaction, acceptance: Acceptance) -> Accepted:
    """Record the image that the action makes.  Raises Conflict, OverQuota."""
    params = acceptance.request.params
    assert isinstance(params, SnapshotRequest)
    image_quota.create(tx, params.image, acceptance.quotas)
    return Accepted(params=SnapshotParams(params.image.id))


def _backup(tx: Transaction, acceptance: Acceptance) -> Accepted:
    params = acceptance.request.params
    assert isinstance(params, BackupRequest)
    image_quota.create(tx, params.image, acceptance.quotas)
    return Accepted(params=BackupParams(params.image.id, params.backup_type, params.rotation))


def ended(tx: Transaction, ending: Ending) -> Columns:
    """A failed action has made no image: its unfinished record goes."""
    if not ending.succeeded:
        images.forget_unfinished(tx, ending.action, ending.now)
    return {}


HANDLERS: Mapping[Verb, VerbHandler] = {
    Verb.CREATE_IMAGE: VerbHandler(accept=accept, ended=ended),
    Verb.CREATE_BACKUP: VerbHandler(accept=_backup, ended=ended),
}
