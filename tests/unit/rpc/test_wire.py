# SPDX-License-Identifier: Apache-2.0
"""The wire form: what is sent comes back, and what a peer may not write into our log is dropped."""

import json

import pytest

from kilonova.rpc import wire


def test_a_request_survives_the_wire() -> None:
    for request_id in ("req-0a1b", ""):
        request = wire.Request("fetch", 3, 2.5, b'{"a":\n1}', request_id)
        assert wire.decode_request(wire.encode_request(request)) == request


def test_a_call_of_no_request_sends_no_request_id() -> None:
    head, _, _ = wire.encode_request(wire.Request("ping", 1, 1.0, b"{}")).partition(b"\n")
    assert "request_id" not in json.loads(head)


@pytest.mark.parametrize("bad", ["req-1\n[req-2] forged", "x" * 65, 7, None, "req 1"])
def test_a_malformed_request_id_is_dropped(bad: object) -> None:
    head = {"method": "ping", "version": 1, "timeout_s": 1.0, "request_id": bad}
    assert wire.decode_request(json.dumps(head).encode() + b"\n{}").request_id == ""
