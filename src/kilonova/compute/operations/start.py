# SPDX-License-Identifier: Apache-2.0
"""start: a stopped guest runs again."""

from kilonova.compute.operation import Operation, Step
from kilonova.compute.operations import look
from kilonova.compute.operations.create import define, plug_network, start
from kilonova.objects.states import Verb

START = Operation(
    Verb.START,
    (
        Step("network", plug_network),
        Step("define", define),
        Step("start", start, no_return="The guest is being started: stop it when the action has ended."),
    ),
    look=look.at_disks_to_define,
)
