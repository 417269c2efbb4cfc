# SPDX-License-Identifier: Apache-2.0
"""Guests without QEMU: the guest's end of a cable into a bridge of a private system daemon, and frames to send there.

All of it works where the bridges are: inside `PrivateSystemLibvirtd.entered`.
"""

import socket
import struct
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address

ALL = "ff:ff:ff:ff:ff:ff"
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
_EVERYTHING = 3
_COOKIE = bytes((99, 130, 83, 99))
TRIES, ANSWER_S = 8, 1.0
DISCOVER, OFFER, REQUEST, DECLINE, ACK = 1, 2, 3, 4, 5


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _ip(text: str) -> bytes:
    return IPv4Address(text).packed


def ethernet(source: str, target: str, kind: int, payload: bytes) -> bytes:
    return (_mac(target) + _mac(source) + struct.pack(">H", kind) + payload).ljust(60, b"\0")


def arp(mac: str, address: str, wanted: str, operation: int = 1, sender: str = "") -> bytes:
    """A question for `wanted` (or, with 2, an answer to it) by the guest with `mac`; `sender` is the MAC that it claims
    for `address`, its own by default."""
    head = struct.pack(">HHBBH", 1, IPV4, 6, 4, operation)
    return ethernet(mac, ALL, ARP, head + _mac(sender or mac) + _ip(address) + bytes(6) + _ip(wanted))


def udp(source: str, target: str, ports: tuple[int, int], payload: bytes, *, mac: str, to: str = ALL) -> bytes:
    payload = payload.ljust(18)  # the smallest frame has no padding then, which a firewall might cut off
    datagram = struct.pack(">HHHH", *ports, 8 + len(payload), 0) + payload
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0, _ip(source), _ip(target))
    words = struct.unpack(">10H", head)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    check = ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
    return ethernet(mac, to, IPV4, head[:10] + struct.pack(">H", check) + head[12:] + datagram)


def _dhcp(mac: str, kind: int, client_id: bytes, options: Mapping[int, bytes]) -> bytes:
    fixed = struct.pack(">BBBB4sHH16x6s10x192x", 1, 1, 6, 0, _mac(mac)[-4:], 0, 0x8000, _mac(mac)) + _COOKIE
    told = {53: bytes((kind,)), **({61: client_id} if client_id else {}), **options}
    return fixed + b"".join(bytes((code, len(value))) + value for code, value in told.items()) + b"\xff"


def _read_dhcp(frame: bytes, mac: str) -> tuple[str, dict[int, bytes]] | None:
    """Address and options of a server's answer to that client."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17 or frame[36:38] != b"\0D" or frame[70:76] != _mac(mac):
        return None
    options, rest = dict[int, bytes](), frame[282:]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    return str(IPv4Address(frame[58:62])), options


@dataclass
class Port:
    """A guest's NIC.  `host_end` is the device at the bridge."""

    mac: str
    host_end: str
    socket: socket.socket

    def send(self, frame: bytes) -> None:
        self.socket.send(frame)

    def hear(self, wanted: Callable[[bytes], bool], within_s: float = 10.0) -> list[bytes]:
        """What comes in, up to the first frame that is wanted; empty when it does not come."""
        heard, end = list[bytes](), time.monotonic() + within_s
        while (left_s := end - time.monotonic()) > 0:
            self.socket.settimeout(left_s)
            try:
                frame, where = self.socket.recvfrom(2048)
            except TimeoutError:
                break
            if where[2] == socket.PACKET_OUTGOING:
                continue
            heard.append(frame)
            if wanted(frame):
                return heard
        return []

    def ask_dhcp(self, client_id: bytes = b"", name: str = "guest") -> str | None:
        """An address by DHCP, as a guest takes one: it asks some times, since a server that has just been told of it
        may not have read that yet.  None when nobody gives one."""
        for _ in range(TRIES):
            if (given := self._ask_dhcp_once(client_id, name)) is not None:
                return given
        return None

    def _ask_dhcp_once(self, client_id: bytes, name: str) -> str | None:
        options = {12: name.encode(), 55: bytes((1, 3, 6, 12))}
        offer = self._dhcp(DISCOVER, client_id, options)
        if offer is None:
            return None
        chosen = {50: _ip(offer[0]), 54: offer[1][54], **options}
        answer = self._dhcp(REQUEST, client_id, chosen)
        return answer[0] if answer is not None and answer[1][53] == bytes((ACK,)) else None

    def decline(self, address: str, server: str, client_id: bytes = b"") -> None:
        """Tell the server that somebody else has the address."""
        self._send_dhcp(_dhcp(self.mac, DECLINE, client_id, {50: _ip(address), 54: _ip(server)}))

    def _send_dhcp(self, message: bytes) -> None:
        self.send(udp("0.0.0.0", "255.255.255.255", (68, 67), message, mac=self.mac))

    def _dhcp(self, kind: int, client_id: bytes, options: Mapping[int, bytes]) -> tuple[str, dict[int, bytes]] | None:
        self._send_dhcp(_dhcp(self.mac, kind, client_id, options))
        heard = self.hear(lambda frame: _read_dhcp(frame, self.mac) is not None, ANSWER_S)
        return _read_dhcp(heard[-1], self.mac) if heard else None


def _ip_command(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, timeout=10, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr


@contextmanager
def port(bridge: str, mac: str) -> Generator[Port]:
    """A cable into the bridge, with `mac` at the guest's end."""
    guest_end, host_end = f"g{mac[-8:].replace(':', '')}", f"h{mac[-8:].replace(':', '')}"
    _ip_command("link", "add", guest_end, "address", mac, "type", "veth", "peer", "name", host_end)
    try:
        _ip_command("link", "set", host_end, "master", bridge, "up")
        _ip_command("link", "set", guest_end, "up")
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING)) as raw:
            raw.bind((guest_end, 0))
            yield Port(mac, host_end, raw)
    finally:
        _ip_command("link", "delete", guest_end)


def dns(server: str, name: str) -> str | None:
    """The first address of a name; None where the server knows none."""
    question = b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(10)
        asker.sendto(struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + question, (server, 53))
        answer = asker.recv(512)
    known = answer[3] & 15 == 0 and answer[6:8] != b"\0\0"
    return str(IPv4Address(answer[-4:])) if known else None
