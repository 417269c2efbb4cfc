# SPDX-License-Identifier: Apache-2.0
"""Ids with a type each, so that a host is never passed where an instance is meant."""

from typing import NamedTuple, NewType

InstanceId = NewType("InstanceId", str)
"""A server's UUID; also the libvirt domain's."""
ImageId = NewType("ImageId", str)
FlavorId = NewType("FlavorId", str)
"""The id that users choose or are given ("1", a UUID)."""
ActionId = NewType("ActionId", str)
AttemptId = NewType("AttemptId", str)
"""The token of one try of a host at an action; a report that bears another one is stale."""
HostName = NewType("HostName", str)
ServerGroupId = NewType("ServerGroupId", str)


class ActionRef(NamedTuple):
    """An action, and the request to which its log lines belong."""

    id: ActionId
    request_id: str
