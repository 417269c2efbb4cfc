# SPDX-License-Identifier: Apache-2.0
"""SSH keys: generate, and check imported ones.

Source: RFC 4253 section 6.6, RFC 5656, RFC 8709.
"""

import base64
import hashlib

from kilonova.base.errors import InvalidInput

_KINDS = frozenset({"ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"})
_LONGEST = 16384

_PATH = "keypair.public_key"


def check(text: str) -> None:
    """Raises InvalidInput unless the text is one line with a public key of a supported type.  Blanks and a line feed
    around it are allowed, as in key files."""
    # Imported late here and below, so that a start does not load cryptography.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    line = text.strip()
    if len(line) > _LONGEST or not line.isprintable() or line.partition(" ")[0] not in _KINDS:
        raise InvalidInput(f"Keypair data is invalid: one line of {', '.join(sorted(_KINDS))} is needed.", path=_PATH)
    try:
        load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm) as exc:
        raise InvalidInput("Keypair data is invalid: failed to read the public key.", path=_PATH) from exc


def fingerprint(public_key: str) -> str:
    """The MD5 of the key blob in colon hex, as the Compute API shows it."""
    blob = base64.b64decode(public_key.split()[1])
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def generated(comment: str) -> tuple[str, str]:
    """A new ed25519 pair: the public key in one line, the private key in OpenSSH's format."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return f"{public} {comment}", secret
