# SPDX-License-Identifier: Apache-2.0
"""The message that gives a lease back, byte by byte (RFC 2131 and 2132)."""

from kilonova.networks import dhcp


def test_a_release_says_who_gives_what_back_to_whom() -> None:
    message = dhcp.release("fa:00:01:02:03:04", "10.77.0.16", "10.77.0.1", b"\xff\0\1")
    assert len(message) == 300
    assert message[:4] == bytes((1, 1, 6, 0))
    assert message[12:16] == bytes((10, 77, 0, 16))
    assert message[28:34] == bytes((0xFA, 0, 1, 2, 3, 4))
    assert message[236:240] == bytes((99, 130, 83, 99))
    options = bytes((53, 1, 7, 54, 4, 10, 77, 0, 1, 61, 3, 0xFF, 0, 1, 255))
    assert message[240 : 240 + len(options)] == options
    assert not any(message[240 + len(options) :])


def test_a_client_without_an_identifier_is_named_by_none() -> None:
    assert bytes((61,)) not in dhcp.release("fa:00:01:02:03:04", "10.77.0.16", "10.77.0.1")[240:]
