# SPDX-License-Identifier: Apache-2.0
"""The handlers of all verbs.  For a verb without a handler, its Transition declares everything."""

from collections.abc import Mapping

from kilonova.conductor.verbs import (
    create,
    delete,
    evacuate,
    lock,
    power,
    rebuild,
    rescue,
    reset_state,
    resize,
    shelve,
    snapshot,
)
from kilonova.conductor.verbs.handler import VerbHandler
from kilonova.objects.states import Verb

_FAMILIES = (create, delete, evacuate, lock, power, rebuild, rescue, reset_state, resize, shelve, snapshot)

HANDLERS: Mapping[Verb, VerbHandler] = {
    verb: handler for family in _FAMILIES for verb, handler in family.HANDLERS.items()
}

_PLAIN = VerbHandler()


def handler_of(verb: Verb) -> VerbHandler:
    """The verb's handler."""
    return HANDLERS.get(verb, _PLAIN)
