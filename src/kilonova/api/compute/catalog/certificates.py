# SPDX-License-Identifier: Apache-2.0
"""X.509 certificates of key pairs of type x509: generate, and check imported ones.

Guests find them in the config drive, as they find public keys, and decide how to use them (WinRM).
Source: Nova's certificates have the user's id as common name, and as user principal name at localhost, and last 3650
days.
"""

import base64
from datetime import datetime, timedelta

from kilonova.base.errors import InvalidInput

_DAYS = 3650
_PRINCIPAL_NAME = "1.3.6.1.4.1.311.20.2.3"
_UTF8_STRING = 0x0C
_LONGEST_NAME = 64
"""The limit of a common name in X.520."""


def check(text: str) -> None:
    """Raises InvalidInput unless the text is a certificate in PEM."""
    fingerprint(text)


def fingerprint(text: str) -> str:
    """The SHA-1 of the certificate in colon hex, as in the Compute API.  Raises InvalidInput for any other text."""
    # Imported late here and below, so that a start does not load cryptography.
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA1

    try:
        digest = x509.load_pem_x509_certificate(text.encode()).fingerprint(SHA1()).hex()
    except ValueError as exc:
        message = "Keypair data is invalid: failed to generate X509 fingerprint: it is not a certificate in PEM."
        raise InvalidInput(message, path="keypair.public_key") from exc
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def generated(user_id: str, now: datetime) -> tuple[str, str]:
    """A self-signed certificate of the user in PEM; and the certificate with its key as PKCS #12 without a password, in
    base64."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption
    from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    name = user_id[:_LONGEST_NAME]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    principal = x509.OtherName(x509.ObjectIdentifier(_PRINCIPAL_NAME), _der(f"{name}@localhost"))
    key = generate_private_key(SECP256R1())
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=_DAYS))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([principal]), critical=False)
        .sign(key, SHA256())
    )
    bundle = serialize_key_and_certificates(None, key, certificate, None, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), base64.b64encode(bundle).decode()


def _der(text: str) -> bytes:
    data = text.encode()
    length = len(data)
    head = [length] if length < 0x80 else [0x82, *length.to_bytes(2, "big")]
    return bytes((_UTF8_STRING, *head)) + data
