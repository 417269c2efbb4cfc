# SPDX-License-Identifier: Apache-2.0
"""Ids, each with its own type, so that a host is never passed where an instance is meant."""

from typing import NamedTuple, NewType

InstanceId = NewType("InstanceId", str)
"""The UUID of a server, and of its libvirt domain."""
ImageId = NewType("ImageId", str)
FlavorId = NewType("FlavorId", str)
"""The id of a flavor, chosen by the user or generated ("1", a UUID)."""
ActionId = NewType("ActionId", str)
AttemptId = NewType("AttemptId", str)
"""The token of one attempt of a host at an action; a report with another token is stale."""
HostName = NewType("HostName", str)
ServerGroupId = NewType("ServerGroupId", str)


class ActionRef(NamedTuple):
    """An action, and the request to which its log lines belong."""

    id: ActionId
    request_id: str
