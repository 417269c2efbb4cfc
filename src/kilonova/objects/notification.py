# SPDX-License-Identifier: Apache-2.0
"""A notification: an event that an operator should know of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from kilonova.objects.ids import HostName


@dataclass(frozen=True, slots=True)
class Notification:
    """`event_type` is dotted ("compute.libvirt.error"), `payload` its facts."""

    host: HostName
    created_at: datetime
    event_type: str
    priority: str
    payload: Mapping[str, str]
