# SPDX-License-Identifier: Apache-2.0
"""DHCP messages (RFC 2131), as bytes.  Pure."""

import struct
from ipaddress import IPv4Address

SERVER_PORT = 67
_BOOTREQUEST, _ETHERNET, _RELEASE = 1, 1, 7
_MESSAGE_TYPE, _SERVER_IDENTIFIER, _CLIENT_IDENTIFIER, _END = 53, 54, 61, 255
_COOKIE = bytes((99, 130, 83, 99))
_SHORTEST = 300
"""The size of the smallest BOOTP message, in bytes: servers may ignore shorter ones."""


def release(mac: str, address: str, server: str, client_id: bytes = b"") -> bytes:
    """A DHCPRELEASE: the client that holds `address` returns it to `server` (RFC 2131, 4.4.6).

    A server finds a lease by the client identifier of its request (the value of option 61, its type byte included), so
    `client_id` must be exactly that; empty when the client sent none.
    """
    fixed = struct.pack(
        ">BBBBIHH4s12x6s10x192x",
        _BOOTREQUEST,
        _ETHERNET,
        6,
        0,
        0,
        0,
        0,
        IPv4Address(address).packed,
        bytes.fromhex(mac.replace(":", "")),
    )
    options = _option(_MESSAGE_TYPE, bytes((_RELEASE,))) + _option(_SERVER_IDENTIFIER, IPv4Address(server).packed)
    if client_id:
        options += _option(_CLIENT_IDENTIFIER, client_id)
    return (fixed + _COOKIE + options + bytes((_END,))).ljust(_SHORTEST, b"\0")


def _option(code: int, value: bytes) -> bytes:
    return bytes((code, len(value))) + value
