# SPDX-License-Identifier: Apache-2.0
"""SSH keys: the kinds that guests take, and nothing that only looks like one."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from kilonova.api.compute.catalog.public_keys import check, fingerprint, generated
from kilonova.base.errors import InvalidInput

KNOWN = (
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl someone@somewhere",
    "65:96:2d:fc:e8:d5:a9:11:64:0c:0f:ea:00:6e:5b:bd",
)


def text_of(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(65537, 2048),
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
    ],
)
def test_good_keys_are_taken_as_they_are(
    key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
) -> None:
    for text in (text_of(key), f"{text_of(key)} a comment", f"{text_of(key)} a comment\n"):
        check(text)
        assert fingerprint(text) == fingerprint(text_of(key))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-rsa",
        "ssh-rsa JUNK",
        "ssh-rsa " + "A" * 2048,
        "ssh-ed25519 AAAA",
        "nonsense AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
        f"{KNOWN[0]}\nssh-rsa more",
        f"{KNOWN[0]}\rmore",
        f"{KNOWN[0]}\x00",
        "-----BEGIN PUBLIC KEY-----",
        "ssh-rsa " + "A" * 20_000,
        "ssh-rsa ä",
        "ssh-dss AAAAB3NzaC1kc3M=",
    ],
)
def test_other_texts_are_not(text: str) -> None:
    with pytest.raises(InvalidInput, match="Keypair data is invalid"):
        check(text)


def test_a_generated_pair_fits_together() -> None:
    public, private = generated("comment")
    check(public)
    assert public.endswith(" comment")
    loaded = load_ssh_private_key(private.encode(), None)
    assert isinstance(loaded, ed25519.Ed25519PrivateKey)
    assert public.startswith(text_of(loaded))


def test_a_fingerprint_is_the_md5_of_the_blob() -> None:
    assert fingerprint(KNOWN[0]) == KNOWN[1]
