# SPDX-License-Identifier: Apache-2.0
"""Tokens: signed, self-contained, valid for a limited time.

A token contains the identity of its owner, so that a request costs no look-up.  Roles that are added take effect with
the next token.  The API checks whether the claims are still valid (the user is enabled, the role was not removed).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from kilonova.base.clock import Clock
from kilonova.base.errors import Unauthorized
from kilonova.identity.key_ring import Keys
from kilonova.identity.roles import with_implied
from kilonova.objects.signing_key import FIRST

_ALGORITHM = "HS256"
_ISSUER = "kilonova"
_REMEMBERED = 256
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INVALID = "The token is not valid."


@dataclass(frozen=True, slots=True)
class CredentialRef:
    """The application credential for which the token was issued."""

    id: str
    name: str
    restricted: bool


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a token: a user with roles in one project, or, with the `scope` "domain" or "system", on that
    scope; the project is "" then.  An unscoped token has no roles either."""

    user_id: str
    user_name: str
    project_id: str
    project_name: str
    roles: tuple[str, ...]
    credential: CredentialRef | None = None
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a token.  `audit_ids` has the token's own id, then the id of the token that it was made from.

    `tokens_from` is the user's value (see kilonova.objects.identity.User) at the time when the password or credential
    of the login was read.  A change after that read invalidates the token, however late the token was issued.
    """

    subject: Subject
    methods: tuple[str, ...]
    issued_at: datetime
    expires_at: datetime
    audit_ids: tuple[str, ...]
    tokens_from: datetime | None = None


class TokenMinter:
    """Issues and verifies tokens with `keys`; `lifetime_s` is in seconds."""

    def __init__(self, keys: Keys, clock: Clock, lifetime_s: float) -> None:
        self._keys, self._clock = keys, clock
        self._lifetime = timedelta(seconds=lifetime_s)
        self._seen: dict[str, tuple[bytes, Claims]] = {}
        """The claims of verified tokens, with the secrets that signed them."""

    def mint(
        self,
        subject: Subject,
        methods: tuple[str, ...],
        parent: Claims | None = None,
        *,
        tokens_from: datetime | None = None,
    ) -> tuple[str, Claims]:
        """The text of a new token and its claims: the subject's roles and the roles that these imply.  Raises
        DatabaseUnavailable while the keys are not known.

        A token that is made from a `parent` token expires no later than the parent, and has the parent's `tokens_from`.
        """
        import jwt  # imported late: it loads all of cryptography

        now = self._clock.now()
        expires_at = now + self._lifetime
        subject = replace(subject, roles=with_implied(subject.roles))
        audit_ids = (self._clock.new_secret(16),)
        if parent is not None:
            expires_at = min(expires_at, parent.expires_at)
            audit_ids += parent.audit_ids[-1:]
            methods = tuple(dict.fromkeys((*methods, *parent.methods)))
            tokens_from = parent.tokens_from
        claims = Claims(subject, methods, now, expires_at, audit_ids, tokens_from)
        key_id, secret = self._keys.signing()
        return jwt.encode(_payload(claims), secret, algorithm=_ALGORITHM, headers={"kid": key_id}), claims

    def verify(self, text: str) -> Claims:
        """The claims of a token.  Raises Unauthorized when the token is not ours, was changed, or has expired, and
        DatabaseUnavailable while the keys are not known."""
        secret = self._secret_of(text)
        known = self._seen.get(text)
        if known is not None and known[0] == secret:
            claims = known[1]
        else:
            claims = _decode(text, secret)
            if len(self._seen) >= _REMEMBERED:
                del self._seen[next(iter(self._seen))]
            self._seen[text] = secret, claims
        # Checked here and not by the decoder, which reads the machine's clock instead of ours.
        if claims.expires_at <= self._clock.now():
            self._seen.pop(text, None)
            raise Unauthorized("The token has expired.")
        return claims

    def _secret_of(self, text: str) -> bytes:
        """The secret of the key that the token names."""
        secret = self._keys.secret_of(_key_id(text))
        if secret is None:
            raise Unauthorized(_INVALID)
        return secret


@lru_cache(maxsize=_REMEMBERED)
def _key_id(text: str) -> str:
    """The id in the header of a token, which is not verified yet; FIRST for a token of an earlier version."""
    import jwt

    try:
        return str(jwt.get_unverified_header(text).get("kid", FIRST))
    except jwt.InvalidTokenError as exc:
        raise Unauthorized(_INVALID) from exc


def _decode(text: str, secret: bytes) -> Claims:
    import jwt

    options: Any = {"verify_exp": False, "verify_iat": False, "require": ["exp", "iat", "sub", "jti"]}
    try:
        return _claims(jwt.decode(text, secret, algorithms=[_ALGORITHM], issuer=_ISSUER, options=options))
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as exc:
        raise Unauthorized(_INVALID) from exc


def _payload(claims: Claims) -> dict[str, Any]:
    credential = claims.subject.credential
    payload: dict[str, Any] = {
        "iss": _ISSUER,
        "sub": claims.subject.user_id,
        "name": claims.subject.user_name,
        "project": [claims.subject.project_id, claims.subject.project_name],
        "roles": list(claims.subject.roles),
        "methods": list(claims.methods),
        "iat": claims.issued_at.timestamp(),
        "exp": claims.expires_at.timestamp(),
        "jti": claims.audit_ids[0],
        "audit": list(claims.audit_ids[1:]),
    }
    if claims.subject.scope:
        payload["scope"] = claims.subject.scope
    if claims.tokens_from is not None:
        payload["from"] = (claims.tokens_from - _EPOCH) // timedelta(microseconds=1)
    if credential is not None:
        payload["credential"] = [credential.id, credential.name, credential.restricted]
    return payload


def _claims(payload: Mapping[str, Any]) -> Claims:
    project_id, project_name = payload["project"]
    words = payload.get("credential")
    credential = None if words is None else CredentialRef(*words)
    roles, scope = tuple(payload["roles"]), payload.get("scope", "")
    subject = Subject(payload["sub"], payload["name"], project_id, project_name, roles, credential, scope)
    return Claims(
        subject,
        tuple(payload["methods"]),
        _time(payload["iat"]),
        _time(payload["exp"]),
        (payload["jti"], *payload["audit"]),
        None if payload.get("from") is None else _EPOCH + timedelta(microseconds=payload["from"]),
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
