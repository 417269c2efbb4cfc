# SPDX-License-Identifier: Apache-2.0
"""The wire form between an API process and a host's console listener, inside TLS.

Frames: a type of one byte, a length of four bytes (big endian), a body.  The API process sends HELLO (a Hello as
JSON).  The host answers REPLY, with a body as in kilonova.rpc.wire: an empty object, or an error.  Then both send DATA:
bytes of the console.  The host ends a session with END and the reason in UTF-8; the API process ends it by closing the
connection.
"""

import asyncio
import socket
import struct
from dataclasses import dataclass, field
from enum import IntEnum

from pydantic import TypeAdapter

from kilonova.base.errors import InvalidInput
from kilonova.objects.console import ConsoleKind
from kilonova.objects.ids import InstanceId

BODY_BYTES = 1 << 18
"""The largest body.  Larger data is sent in several frames."""
HELLO_S = 10.0
"""The time limit for TLS and the first frame, at both ends."""
IDLE_PROBE_S, PROBES = 10, 3
"""A peer that vanished without a word is found after some 40 s: TCP probes a silent connection."""
HEAD = struct.Struct(">BI")
SERVER_NAME = "kilonova-console"
"""The name in the certificate of every console listener.  The client trusts one certificate only, by its content."""


class Frame(IntEnum):
    """See the module."""

    HELLO = 1
    REPLY = 2
    DATA = 3
    END = 4


@dataclass(frozen=True, slots=True)
class Hello:
    """See ConsoleTicket."""

    secret: str = field(repr=False)
    instance_id: InstanceId
    kind: ConsoleKind


HELLO_FORM = TypeAdapter(Hello)


def frame(kind: Frame, body: bytes) -> bytes:
    return HEAD.pack(kind, len(body)) + body


def data_frames(data: bytes) -> bytes:
    """Bytes of the console as frames, as many as they need."""
    return b"".join(frame(Frame.DATA, data[at : at + BODY_BYTES]) for at in range(0, len(data), BODY_BYTES))


async def read_frame(reader: asyncio.StreamReader, longest: int = BODY_BYTES) -> tuple[Frame, bytes]:
    """The next frame.  Raises InvalidInput for bytes that are none, IncompleteReadError at the end of the stream,
    OSError."""
    kind, length = HEAD.unpack(await reader.readexactly(HEAD.size))
    if kind not in tuple(Frame) or length > longest:
        raise InvalidInput("The peer does not speak the protocol of consoles.")
    return Frame(kind), await reader.readexactly(length)


def probe_when_silent(writer: asyncio.StreamWriter) -> None:
    """Have the kernel find a peer that vanished."""
    wire: socket.socket = writer.get_extra_info("socket")
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, IDLE_PROBE_S)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, IDLE_PROBE_S)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
