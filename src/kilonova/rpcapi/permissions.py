# SPDX-License-Identifier: Apache-2.0
"""What each kind of process may publish and subscribe to, derived from the declared subjects.

A subject without an entry in CHANNELS has no permission at all; tests/unit/rpcapi/test_permissions.py compares the
table with the declared methods.  In a pinned subject `*` becomes the name of the host.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from kilonova.rpc.bus import EVERY_INBOX, inbox_prefix, ping_subject, token
from kilonova.rpc.credentials import identity
from kilonova.rpc.nats_jwt import Rights
from kilonova.rpcapi import api_to_conductor, api_to_conductor_admin, host_to_conductor, notifications, to_host


class Role(StrEnum):
    """Kinds of processes with credentials of their own.  No name may have a hyphen (see credentials.identity)."""

    HOST = "host"
    API = "api"
    CONDUCTOR = "conductor"
    OPERATOR = "operator"
    OBSERVER = "observer"


@dataclass(frozen=True, slots=True)
class Channel:
    """Which kinds of processes send messages on a subject, and which kind receives them.

    `pinned`: a host uses the subject under its own name only.
    """

    senders: frozenset[Role]
    receiver: Role
    pinned: bool = False


CHANNELS: Mapping[str, Channel] = {
    host_to_conductor.SUBJECT: Channel(frozenset({Role.HOST}), Role.CONDUCTOR, pinned=True),
    host_to_conductor.HEARTBEATS: Channel(frozenset({Role.HOST}), Role.CONDUCTOR, pinned=True),
    to_host.SUBJECT: Channel(frozenset({Role.API, Role.CONDUCTOR}), Role.HOST, pinned=True),
    api_to_conductor.SUBJECT: Channel(frozenset({Role.API}), Role.CONDUCTOR),
    f"{notifications.PREFIX}.>": Channel(frozenset({Role.CONDUCTOR}), Role.OBSERVER),
    # A conductor's credentials also serve the operator's commands on its machine.
    api_to_conductor_admin.SUBJECT: Channel(frozenset({Role.API, Role.OPERATOR, Role.CONDUCTOR}), Role.CONDUCTOR),
}


def rights(role: Role, name: str) -> Rights:
    """The rights of the process of that role and name.

    A host replies to requests that it received, and to nothing else.  A conductor may reply to anyone at any time, so
    that its replies survive the loss of one connection.
    """
    own = identity(role, name)
    ping = f"{ping_subject(own)}.*"
    publish = [
        _subject(channel, subject, role, name) for subject, channel in CHANNELS.items() if role in channel.senders
    ]
    subscribe = [
        _subject(channel, subject, role, name) for subject, channel in CHANNELS.items() if role is channel.receiver
    ]
    if role is Role.CONDUCTOR:
        publish.append(EVERY_INBOX)
    subscribe += [f"{inbox_prefix(own)}.>", ping]
    return Rights((*publish, ping), tuple(subscribe), replies=role is not Role.CONDUCTOR)


def _subject(channel: Channel, subject: str, role: Role, name: str) -> str:
    return subject.replace("*", token(name)) if channel.pinned and role is Role.HOST else subject
