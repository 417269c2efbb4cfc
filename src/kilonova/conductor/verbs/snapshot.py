# SPDX-License-Identifier: Apache-2.0
"""createImage, createBackup: the root disk becomes an image.  Its record is made with the action, and goes with it."""

from collections.abc import Mapping

from kilonova.conductor import images
from kilonova.conductor.verbs.handler import Acceptance, Accepted, Columns, Ending, VerbHandler
from kilonova.db.transaction import Transaction
from kilonova.objects.states import Verb


def accept(tx: Transaction, acceptance: Acceptance) -> Accepted:
    """Record the image that the action makes.  Raises Conflict, OverQuota."""
    images.record(tx, acceptance.request.new_image, acceptance.quotas)
    return Accepted()


def ended(tx: Transaction, ending: Ending) -> Columns:
    """A failed action has made no image: its unfinished record goes."""
    if not ending.succeeded:
        images.forget_unfinished(tx, ending.action)
    return {}


HANDLERS: Mapping[Verb, VerbHandler] = dict.fromkeys(
    (Verb.CREATE_IMAGE, Verb.CREATE_BACKUP), VerbHandler(accept=accept, ended=ended)
)
