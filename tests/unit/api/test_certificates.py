# SPDX-License-Identifier: Apache-2.0
"""Certificates of key pairs: what is made is one, and what is none is refused."""

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates
from cryptography.x509.oid import ExtendedKeyUsageOID

from kilonova.api.compute.catalog.certificates import check, fingerprint, generated
from kilonova.base.errors import InvalidInput
from tests.make import NOW


@pytest.mark.parametrize("user_id", ["u1", "9" * 32, "u" * 255])
def test_a_certificate_is_the_users_and_fits_its_key(user_id: str) -> None:
    text, bundle = generated(user_id, NOW)
    check(text)
    certificate = x509.load_pem_x509_certificate(text.encode())
    name = user_id[:64]
    assert certificate.subject.rfc4514_string() == f"CN={name}"
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 3650
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.CLIENT_AUTH in usage
    (principal,) = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert isinstance(principal, x509.OtherName)
    assert principal.value.endswith(f"{name}@localhost".encode())
    key, again, _ = load_key_and_certificates(base64.b64decode(bundle), None)
    assert again == certificate
    assert key is not None
    assert key.public_key() == certificate.public_key()


def test_a_fingerprint_is_the_sha1_of_the_certificate() -> None:
    text, _ = generated("u1", NOW)
    print_ = fingerprint(text)
    assert len(print_.split(":")) == 20
    assert fingerprint(f"\n{text}\n") == print_


@pytest.mark.parametrize(
    "text", ["", "ssh-rsa AAAA", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "ä"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="Keypair data is invalid"):
        check(text)
