# SPDX-License-Identifier: Apache-2.0
"""All operations, by verb.  A new one is a file here and a line in OPERATIONS."""

from collections.abc import Mapping

from kilonova.compute.operation import Operation
from kilonova.compute.operations.create import CREATE
from kilonova.compute.operations.delete import DELETE
from kilonova.compute.operations.pause import PAUSE, UNPAUSE
from kilonova.compute.operations.reboot import REBOOT
from kilonova.compute.operations.shelve import SHELVE, SHELVE_OFFLOAD, UNSHELVE
from kilonova.compute.operations.snapshot import CREATE_BACKUP, CREATE_IMAGE
from kilonova.compute.operations.start import START
from kilonova.compute.operations.stop import STOP
from kilonova.objects.states import Verb

_IMAGES = (CREATE_IMAGE, CREATE_BACKUP, SHELVE, SHELVE_OFFLOAD, UNSHELVE)

OPERATIONS: Mapping[Verb, Operation] = {
    op.verb: op for op in (CREATE, DELETE, STOP, START, REBOOT, PAUSE, UNPAUSE, *_IMAGES)
}
