# SPDX-License-Identifier: Apache-2.0
"""Identities of NATS: nkeys, and JWTs that are signed with them.

An operator signs accounts, an account signs users; a server only needs the operator's JWT and the accounts' JWTs.  The
format is version 2 of the NATS JWT: three base64url parts, algorithm `ed25519-nkey`.  nats-server verifies what this
module writes (tests/live/test_trust.py).
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import nkeys

from kilonova.base.clock import Clock

Claims = Mapping[str, Any]

HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}
VERSION = 2
SEED_BYTES = 32
UNLIMITED = -1
REPLY_NS = 120 * 10**9
"""The time in which a user may reply to a request that it received, in nanoseconds."""
SUBSCRIPTIONS = 64
"""The maximum number of subscriptions of one connection."""


class KeyKind(Enum):
    """Kinds of nkeys, by their prefix byte."""

    OPERATOR = nkeys.PREFIX_BYTE_OPERATOR
    ACCOUNT = nkeys.PREFIX_BYTE_ACCOUNT
    USER = nkeys.PREFIX_BYTE_USER


@dataclass(frozen=True, slots=True)
class Rights:
    """The subjects that a user may publish to and subscribe to.  `replies`: it may also reply, once, to each request
    that it receives."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]
    replies: bool = False


def new_seed(kind: KeyKind, clock: Clock) -> str:
    """A new secret key."""
    raw = base64.urlsafe_b64decode(clock.new_secret(SEED_BYTES) + "=")
    return nkeys.encode_seed(raw, kind.value).decode()


def public_key(seed: str) -> str:
    """The public key of a seed.  Raises ValueError for a text that is not a seed."""
    return bytes(_pair(seed).public_key).decode()


def sign_nonce(seed: str, nonce: str) -> bytes:
    """The signature with which a client proves that it has the seed, in base64."""
    return base64.b64encode(_pair(seed).sign(nonce.encode()))


def _pair(seed: str) -> nkeys.KeyPair:
    try:
        return nkeys.from_seed(bytearray(seed.encode()))
    except Exception as exc:  # the library raises several unrelated classes, some with the seed in their text
        raise ValueError(f"not an nkey seed ({type(exc).__name__})") from None


def operator(seed: str, system_account: str, iat: int) -> str:
    """The JWT of an operator."""
    claims = {"type": "operator", "version": VERSION, "system_account": system_account}
    return _signed(seed, public_key(seed), "kilonova", iat, {"nats": claims})


def account(operator_seed: str, key: str, name: str, iat: int, revoked: Mapping[str, int]) -> str:
    """The JWT of an account without JetStream and leaf nodes.  `revoked` maps the public keys of users to the second
    up to which JWTs that were issued to them are invalid."""
    limits = {
        **dict.fromkeys(("subs", "data", "payload", "imports", "exports", "conn"), UNLIMITED),
        "wildcards": True,
        "leaf": 0,
    }
    claims: dict[str, Any] = {"type": "account", "version": VERSION, "limits": limits, "default_permissions": {}}
    if revoked:
        claims["revocations"] = dict(revoked)
    return _signed(operator_seed, key, name, iat, {"nats": claims})


def user(account_seed: str, key: str, name: str, issued: tuple[int, int | None], rights: Rights | None) -> str:
    """The JWT of a user.  `issued` are the second of issue and the second of expiry; without `rights` the user may do
    everything within its account."""
    claims: dict[str, Any] = {
        "type": "user",
        "version": VERSION,
        "subs": UNLIMITED if rights is None else SUBSCRIPTIONS,
        "data": UNLIMITED,
        "payload": UNLIMITED,
        "pub": {},
        "sub": {},
    }
    if rights is not None:
        claims["pub"] = _allow(rights.publish)
        claims["sub"] = _allow(rights.subscribe)
        if rights.replies:
            claims["resp"] = {"max": 1, "ttl": REPLY_NS}
    begin, end = issued
    return _signed(account_seed, key, name, begin, {"nats": claims} if end is None else {"exp": end, "nats": claims})


def _allow(subjects: tuple[str, ...]) -> Mapping[str, list[str]]:
    """An empty list of allowed subjects would allow all of them."""
    return {"allow": list(subjects)} if subjects else {"deny": [">"]}


def _signed(seed: str, subject: str, name: str, iat: int, more: Claims) -> str:
    claims = {"iat": iat, "iss": public_key(seed), "name": name, "sub": subject, **more}
    claims["jti"] = base64.b32encode(hashlib.sha256(_dump(claims)).digest()).decode().rstrip("=")
    text = f"{_part(_dump(HEADER))}.{_part(_dump(claims))}"
    return f"{text}.{_part(_pair(seed).sign(text.encode()))}"


def _dump(value: Claims) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def claims_of(jwt: str) -> Claims:
    """The claims of a JWT, without a check of its signature.  Raises ValueError for a text that is not a JWT."""
    parts = jwt.split(".")
    if len(parts) != 3:
        raise ValueError("not a JWT")
    found = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    if not isinstance(found, dict):
        raise ValueError("not a JWT")
    return found


def expiry_of(jwt: str) -> datetime | None:
    """When a JWT expires; None: never.  Raises ValueError."""
    end = claims_of(jwt).get("exp")
    if end is not None and not isinstance(end, int):
        raise ValueError("the expiry of the JWT is not a number")
    return datetime.fromtimestamp(end, UTC) if end else None
