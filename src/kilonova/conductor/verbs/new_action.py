# SPDX-License-Identifier: Apache-2.0
"""The action that an accepted request becomes."""

from datetime import datetime, timedelta

from kilonova.objects.action import Action
from kilonova.objects.action_params import RecordedParams
from kilonova.objects.ids import ActionId
from kilonova.objects.instance import Instance
from kilonova.objects.leg import Legs
from kilonova.objects.states import VERBS
from kilonova.rpcapi.api_to_conductor import AcceptAction

SHUTDOWN_MOST_S = 3600.0
"""The longest time that an image's os_shutdown_timeout adds to the deadlines of its servers' actions."""


def new_action(
    action_id: ActionId, instance: Instance, request: AcceptAction, params: RecordedParams, legs: Legs, now: datetime
) -> Action:
    """An open action with the deadline of its verb."""
    # An image can give its guests more time to shut down.
    more_s = min(float(instance.image.properties.get("os_shutdown_timeout", 0)), SHUTDOWN_MOST_S)
    return Action(
        id=action_id,
        instance_id=instance.id,
        verb=request.verb,
        request_id=request.context.request_id,
        user_id=request.context.user_id,
        project_id=request.context.project_id,
        started_at=now,
        updated_at=now,
        deadline=now + timedelta(seconds=VERBS[request.verb].deadline_s + more_s),
        legs=legs,
        params=params,
        counted_at=now,
    )
