# SPDX-License-Identifier: Apache-2.0
"""delete: whatever a create may have made is absent, however far it came."""

from kilonova.compute.operation import removal
from kilonova.compute.operations.create import CREATE
from kilonova.objects.states import Verb

DELETE = removal(CREATE, Verb.DELETE)
