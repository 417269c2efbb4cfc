# SPDX-License-Identifier: Apache-2.0
"""Why there is no connection to the bus, in one sentence each: for the log and the doctor."""

import ssl
from datetime import datetime

from kilonova.base.errors import ConfigError
from kilonova.rpc.credentials import Credentials

# Codes of OpenSSL (X509_V_ERR_*).
_NOT_YET, _EXPIRED, _WRONG_NAME, _WRONG_ADDRESS = 9, 10, 62, 64
_UNTRUSTED = frozenset({18, 19, 20, 21})

NO_TLS = "the server offers no TLS, and transport_url says tls://"
_REFUSED = (
    "authorization violation",
    "authorization failed",
    "user authentication",
    "account authentication",
    "the server refuses the credentials",
    "the credentials of",
)


def explain(exc: BaseException, credentials: Credentials | None, now: datetime) -> str:
    """The reason, with what to do where an operator must act."""
    if isinstance(exc, ConfigError):
        return exc.message.rstrip(".")
    if isinstance(exc, ssl.SSLCertVerificationError):
        return _certificate(exc)
    text = str(exc).removeprefix("nats: ").strip("' ")
    if is_refusal(text) and credentials is not None:
        return _refused(credentials, now)
    if isinstance(exc, ssl.SSLError):
        return f"TLS failed: {exc.reason or text}"
    return text or type(exc).__name__


def is_refusal(text: str) -> bool:
    """Whether a server refused the credentials."""
    return any(words in text.lower() for words in _REFUSED)


def is_lasting(exc: BaseException, text: str) -> bool:
    """Whether an operator must act: more attempts alone do not help."""
    return isinstance(exc, ConfigError | ssl.SSLError) or is_refusal(text) or text == NO_TLS


def _certificate(exc: ssl.SSLCertVerificationError) -> str:
    if exc.verify_code == _EXPIRED:
        return "the certificate of the server has expired: renew it (`kilonova bus certificate`)"
    if exc.verify_code == _NOT_YET:
        return "the certificate of the server is not valid yet: compare the clocks of both machines"
    if exc.verify_code in (_WRONG_NAME, _WRONG_ADDRESS):
        return f"the certificate of the server is for other names: {exc.verify_message}"
    if exc.verify_code in _UNTRUSTED:
        return "the certificate of the server is not signed by the CA of the credentials file or of transport_ca_file"
    return f"the certificate of the server is refused: {exc.verify_message}"


def _refused(credentials: Credentials, now: datetime) -> str:
    """A server gives the same answer for all causes."""
    end = credentials.expires_at
    if end is not None and end <= now:
        return f"the credentials of {credentials.identity} expired at {end:%Y-%m-%d %H:%M:%SZ}: issue new ones"
    return f"the server refuses the credentials of {credentials.identity}: revoked, or of another authority"
