# SPDX-License-Identifier: Apache-2.0
"""The failpoints of the conductor."""

CREATE_ACCEPTED = "conductor.create.accepted"
ACTION_ACCEPTED = "conductor.action.accepted"
PLACE_BEGIN = "conductor.place.begin"
PLACE_DONE = "conductor.place.done"
FINISH_RECORDED = "conductor.finish.recorded"

NAMES = frozenset({CREATE_ACCEPTED, ACTION_ACCEPTED, PLACE_BEGIN, PLACE_DONE, FINISH_RECORDED})
