# SPDX-License-Identifier: Apache-2.0
"""All operations, by name. A new operation is a file here and a line in OPERATIONS. An operation that does the whole of
a verb has the verb's name.
"""

from collections.abc import Mapping

from kilonova.compute.operation import Operation
from kilonova.compute.operations.create import CREATE
from kilonova.compute.operations.delete import DELETE
from kilonova.compute.operations.evacuate import EVACUATE
from kilonova.compute.operations.pause import PAUSE, UNPAUSE
from kilonova.compute.operations.reboot import REBOOT
from kilonova.compute.operations.rebuild import REBUILD
from kilonova.compute.operations.rescue import RESCUE, UNRESCUE
from kilonova.compute.operations.resize import CONFIRM_RESIZE, RESIZE, REVERT_RESIZE
from kilonova.compute.operations.shelve import SHELVE, SHELVE_OFFLOAD, UNSHELVE
from kilonova.compute.operations.snapshot import CREATE_BACKUP, CREATE_IMAGE
from kilonova.compute.operations.start import START
from kilonova.compute.operations.stop import STOP
from kilonova.compute.operations.suspend import RESUME, SUSPEND

_POWER = (STOP, START, REBOOT, PAUSE, UNPAUSE, SUSPEND, RESUME)
_DISKS = (REBUILD, RESCUE, UNRESCUE, RESIZE, CONFIRM_RESIZE, REVERT_RESIZE)
_IMAGES = (CREATE_IMAGE, CREATE_BACKUP, SHELVE, SHELVE_OFFLOAD, UNSHELVE)

OPERATIONS: Mapping[str, Operation] = {op.name: op for op in (CREATE, EVACUATE, DELETE, *_POWER, *_DISKS, *_IMAGES)}
