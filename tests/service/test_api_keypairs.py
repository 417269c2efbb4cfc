# SPDX-License-Identifier: Apache-2.0
"""Key pairs: the kinds of keys, and those of other users."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from tests.service.api import Api, message


async def create(api: Api, name: str = "k", **fields: Any) -> Any:
    return await api.compute("POST", "/os-keypairs", {"keypair": {"name": name, **fields}})


def line(key: Any) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


async def test_every_kind_of_key_comes_back_as_it_was_given(api: Api) -> None:
    kinds = {
        "ed25519": line(ed25519.Ed25519PrivateKey.generate()),
        "rsa": line(rsa.generate_private_key(65537, 2048)),
        "ecdsa": line(ec.generate_private_key(ec.SECP384R1())) + " a comment",
    }
    for name, text in kinds.items():
        made = await create(api, name, public_key=text)
        assert made.status_code == 201, made.text
        assert "private_key" not in made.json()["keypair"]
        shown = (await api.json(f"/os-keypairs/{name}"))["keypair"]
        assert (shown["public_key"], shown["type"]) == (text, "ssh")
        assert shown["fingerprint"] == made.json()["keypair"]["fingerprint"]


async def test_a_pair_that_is_made_here_fits_together_and_its_private_half_is_told_once(api: Api) -> None:
    made = (await create(api)).json()["keypair"]
    private = load_ssh_private_key(made["private_key"].encode(), None)
    assert made["public_key"].startswith(line(private))
    assert "private_key" not in (await api.json("/os-keypairs/k"))["keypair"]


async def test_an_administrator_and_the_keys_of_others(api: Api) -> None:
    member = api.as_("member")
    await create(member, "theirs")
    path = "/os-keypairs/theirs"
    assert (await api.compute("GET", path)).status_code == 404
    assert (await api.json(f"{path}?user_id=u-other"))["keypair"]["user_id"] == "u-other"
    # Before 2.10 nobody can name another.
    assert (await api.at("2.9").compute("GET", f"{path}?user_id=u-other")).status_code == 404
    stranger = api.as_("member", user="u-third")
    for method in ("GET", "DELETE"):
        reply = await stranger.compute(method, f"{path}?user_id=u-other")
        assert message(reply, 403, "forbidden")
    assert (await stranger.compute("GET", path)).status_code == 404
    assert (await api.compute("DELETE", f"{path}?user_id=u-other")).status_code == 204
    assert (await member.compute("GET", path)).status_code == 404
    assert (await api.compute("GET", f"{path}?nonsense=1")).status_code == 400


@pytest.mark.parametrize(
    ("version", "fields", "status"),
    [
        ("2.1", {"type": "ssh"}, 400),
        ("2.2", {"type": "ssh"}, 201),
        ("2.9", {"user_id": "u1"}, 400),
        ("2.1", {"type": "x509"}, 400),
        ("2.2", {"type": "x509"}, 201),
        ("2.2", {"type": "x509", "public_key": line(ed25519.Ed25519PrivateKey.generate())}, 400),
        ("2.2", {"type": "gpg"}, 400),
        ("2.2", {"public_key": None}, 201),
        ("2.2", {"public_key": 5}, 400),
        ("2.2", {"public_key": "ssh-ed25519 AAAA"}, 400),
        ("2.2", {"name": "n" * 255}, 201),
        ("2.2", {"name": "n" * 256}, 400),
        ("2.2", {"name": "a b-c_d"}, 201),
        ("2.2", {"name": "a\n"}, 400),
        ("2.2", {"name": "ä"}, 400),
        ("2.79", {"name": "a.b"}, 400),
    ],
)
async def test_what_a_request_may_say_by_microversion(
    api: Api, version: str, fields: dict[str, Any], status: int
) -> None:
    reply = await api.at(version).compute("POST", "/os-keypairs", {"keypair": {"name": "k", **fields}})
    assert reply.status_code == status, reply.text
