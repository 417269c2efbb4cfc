# SPDX-License-Identifier: Apache-2.0
"""The CA of the bus and the certificates of its servers.  cryptography is imported late, because it loads slowly."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from kilonova.base.errors import ConfigError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CA_DAYS = 3650
EARLY = timedelta(minutes=5)
"""Certificates are valid from this long ago, for clients whose clock is a little behind."""


@dataclass(frozen=True, slots=True)
class Pem:
    """A certificate and its key, in PEM."""

    certificate: str
    key: str = field(repr=False)


def new_ca(now: datetime) -> Pem:
    """A CA that signs the certificates of servers only."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Kilonova bus CA")
    usage = x509.KeyUsage(
        **dict.fromkeys(_USAGES, False), key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False
    )
    builder = (
        _builder(name, key, (now - EARLY, now + timedelta(days=CA_DAYS)))
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _signed(builder, key, key)


_USAGES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")


def new_server(ca: Pem, sans: Sequence[str], now: datetime, lifetime: timedelta) -> Pem:
    """A certificate for servers under these names and addresses; also for the connections between servers.  Raises
    ConfigError for a CA that is not one."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        issuer = x509.load_pem_x509_certificate(ca.certificate.encode())
        ca_key = load_pem_private_key(ca.key.encode(), None)
    except (ValueError, TypeError) as exc:
        raise ConfigError("The CA of the bus is not a certificate and a key in PEM.") from exc
    assert isinstance(ca_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _builder(_name(sans[0]), key, (now - EARLY, now + lifetime))
        .issuer_name(issuer.subject)
        .add_extension(x509.SubjectAlternativeName([_general(san) for san in sans]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
    )
    return _signed(builder, key, ca_key)


def new_alone(name: str, now: datetime) -> Pem:
    """A certificate that no CA signs: for a server whose clients receive it in another way, and trust only it."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        _builder(_name(name), key, (now - timedelta(days=1), now + timedelta(days=CA_DAYS)))
        .issuer_name(_name(name))
        .add_extension(x509.SubjectAlternativeName([_general(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    return _signed(builder, key, key)


def is_for(certificate: str, name: str) -> bool:
    """Whether a certificate in PEM is for this name.  Raises ValueError."""
    from cryptography import x509

    return x509.load_pem_x509_certificate(certificate.encode()).subject == _name(name)


def expiry_of(certificate: str) -> datetime:
    """When a certificate in PEM expires.  Raises ValueError."""
    from cryptography import x509

    return x509.load_pem_x509_certificate(certificate.encode()).not_valid_after_utc


def _builder(
    name: x509.Name, key: EllipticCurvePrivateKey, validity: tuple[datetime, datetime]
) -> x509.CertificateBuilder:
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
    )


def _signed(builder: x509.CertificateBuilder, key: EllipticCurvePrivateKey, signer: EllipticCurvePrivateKey) -> Pem:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    certificate = builder.sign(signer, SHA256()).public_bytes(Encoding.PEM).decode()
    return Pem(certificate, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


def _name(text: str) -> x509.Name:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _general(san: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(san))
    except ValueError:
        return x509.DNSName(san)
