# SPDX-License-Identifier: Apache-2.0
"""The authority of a bus: a directory on an administrator's machine with the keys that sign credentials.

`authority.json` (only for its owner) has the secret keys and the list of issued credentials, `ca.key` the key of the
CA, `server/` the files for the NATS servers.  A server needs no change when credentials are issued: it knows the
account, and the account's key signs them.  A revocation is a new JWT of the account, which the servers receive over
the bus.  All functions block.
"""

import fcntl
import json
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from kilonova.base.clock import Clock
from kilonova.base.errors import Conflict, NotFound, StateError
from kilonova.base.files import make_directory, replace_file
from kilonova.rpc import certificates, nats_jwt, server_config
from kilonova.rpc.certificates import Pem
from kilonova.rpc.credentials import Credentials
from kilonova.rpc.nats_jwt import KeyKind, Rights

FILE, CA_KEY_FILE, CA_FILE, SERVER = "authority.json", "ca.key", "ca.crt", "server"
PRIVATE = 0o700
FORMAT = 1
UPDATE = "$SYS.REQ.CLAIMS.UPDATE"
"""The subject on which servers receive the JWT of an account, from a user of the system account."""
SYSTEM_IDENTITY = "authority-system"
SYSTEM_USER_S = 600


@dataclass(frozen=True, slots=True)
class Issued:
    """Credentials that were issued: the public key of one user.  Times in seconds since 1970."""

    identity: str
    key: str
    issued_at: int
    expires_at: int | None = None
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """`account_iat` is the second of issue of the account's JWT.  A server keeps the newest, so that it always grows.
    `installed_at` is the directory of the files on the servers."""

    servers: tuple[str, ...]
    installed_at: str
    tls: bool
    operator_seed: str = field(repr=False)
    account_seed: str = field(repr=False)
    system_seed: str = field(repr=False)
    account_iat: int
    issued: tuple[Issued, ...] = ()
    kilonova_authority: int = FORMAT


_FORM = TypeAdapter(Record)


@dataclass(frozen=True, slots=True)
class Founding:
    """What an authority begins with.  `own` are a CA's certificate and a server's certificate and key of the
    operator's own, which are used unchanged; without them and with `sans` a CA is made."""

    servers: tuple[str, ...]
    installed_at: Path
    sans: tuple[str, ...] = ()
    lifetime: timedelta = timedelta(days=825)
    own: tuple[str, Pem] | None = None


class Authority:
    """An opened authority.  Changes are on disk when a method returns."""

    def __init__(self, directory: Path, record: Record, clock: Clock) -> None:
        self._directory, self._record, self._clock = directory, record, clock

    @property
    def servers(self) -> tuple[str, ...]:
        return self._record.servers

    @property
    def issued(self) -> tuple[Issued, ...]:
        """All credentials, the oldest first."""
        return self._record.issued

    @property
    def ca(self) -> str:
        """The certificate of the CA in PEM; empty without TLS."""
        return (self._directory / CA_FILE).read_text() if self._record.tls else ""

    def valid(self, identity: str) -> list[Issued]:
        """The credentials of an identity that are neither revoked nor expired, the oldest first."""
        now = self._now()
        return [
            one
            for one in self._record.issued
            if one.identity == identity and one.revoked_at is None and (one.expires_at is None or one.expires_at > now)
        ]

    def issue(self, identity: str, rights: Rights, lifetime: timedelta | None) -> Credentials:
        """New credentials for an identity; earlier ones stay valid."""
        seed, now = nats_jwt.new_seed(KeyKind.USER, self._clock), self._now()
        key = nats_jwt.public_key(seed)
        end = None if lifetime is None else now + int(lifetime.total_seconds())
        jwt = nats_jwt.user(self._record.account_seed, key, identity, (now, end), rights)
        self.save(replace(self._record, issued=(*self._record.issued, Issued(identity, key, now, end))))
        return Credentials(identity, self._record.servers, jwt, seed, self.ca)

    def revoke(self, identity: str, *, keep_newest: bool = False) -> int:
        """Revoke the credentials of an identity, with `keep_newest` all but the newest.  Returns their number.  The
        servers learn of it by `account_jwt`.  Raises NotFound, Conflict (there is no older one)."""
        valid = self.valid(identity)
        if not any(one.identity == identity for one in self._record.issued):
            raise NotFound(f"No credentials were issued to {identity}.")
        gone = {one.key for one in (valid[:-1] if keep_newest else valid)}
        if keep_newest and not gone:
            raise Conflict(f"{identity} has only its newest credentials: nothing is left to revoke.")
        now = self._now()
        issued = tuple(replace(one, revoked_at=now) if one.key in gone else one for one in self._record.issued)
        self.save(replace(self._record, issued=issued, account_iat=max(now, self._record.account_iat + 1)))
        return len(gone)

    def account_jwt(self) -> str:
        """The JWT of the account, with all revocations."""
        record = self._record
        revoked = {one.key: one.revoked_at for one in record.issued if one.revoked_at is not None}
        key = nats_jwt.public_key(record.account_seed)
        return nats_jwt.account(record.operator_seed, key, "kilonova", record.account_iat, revoked)

    def system_credentials(self) -> Credentials:
        """Credentials of the system account for this moment, to send `account_jwt` to UPDATE."""
        seed, now = nats_jwt.new_seed(KeyKind.USER, self._clock), self._now()
        times = (now, now + SYSTEM_USER_S)
        jwt = nats_jwt.user(self._record.system_seed, nats_jwt.public_key(seed), SYSTEM_IDENTITY, times, None)
        return Credentials(SYSTEM_IDENTITY, self._record.servers, jwt, seed, self.ca)

    def renew_certificate(self, sans: Sequence[str], lifetime: timedelta) -> None:
        """Replace the certificate of the servers.  Raises StateError for an authority without a CA of its own."""
        key = self._directory / CA_KEY_FILE
        if not key.exists():
            raise StateError(f"{self._directory} has no CA of its own: renew the certificate where it was made.")
        pem = certificates.new_server(Pem(self.ca, key.read_text()), sans, self._clock.now(), lifetime)
        self.put_server_file(server_config.KEY_FILE, pem.key)
        self.put_server_file(server_config.CERT_FILE, pem.certificate)

    def write_server_files(self) -> None:
        """Write the configuration of the servers, with the account as it is now."""
        record = self._record
        system, iat = nats_jwt.public_key(record.system_seed), record.account_iat
        accounts = {
            system: nats_jwt.account(record.operator_seed, system, "SYS", iat, {}),
            nats_jwt.public_key(record.account_seed): self.account_jwt(),
        }
        operator = nats_jwt.operator(record.operator_seed, system, iat)
        where = Path(record.installed_at)
        plan = server_config.Plan(where, record.servers, operator, system, accounts, record.tls)
        self.put_server_file(server_config.FILE, server_config.render(plan))
        if record.tls:
            self.put_server_file(server_config.CA_FILE, self.ca)

    def put_server_file(self, name: str, text: str) -> None:
        """Replace one of the servers' files.  Raises OSError."""
        replace_file(self._directory / SERVER / name, text.encode(), directory_mode=PRIVATE)

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    def save(self, record: Record) -> None:
        """Record a change, and write the servers' configuration.  Raises OSError."""
        self._record = record
        replace_file(
            self._directory / FILE, json.dumps(asdict(record), indent=1).encode() + b"\n", directory_mode=PRIVATE
        )
        self.write_server_files()


def found(directory: Path, founding: Founding, clock: Clock) -> None:
    """Make an authority.  Raises Conflict when the directory has one, OSError, ConfigError."""
    if (directory / FILE).exists():
        raise Conflict(f"{directory} already has an authority; its keys cannot be made again.")
    make_directory(directory, PRIVATE)
    tls = founding.own is not None or bool(founding.sans)
    seeds = (nats_jwt.new_seed(kind, clock) for kind in (KeyKind.OPERATOR, KeyKind.ACCOUNT, KeyKind.ACCOUNT))
    now = int(clock.now().timestamp())
    record = Record(founding.servers, str(founding.installed_at), tls, *seeds, account_iat=now)
    with _locked(directory):
        authority = Authority(directory, record, clock)
        if founding.own is not None:
            ca, pem = founding.own
            replace_file(directory / CA_FILE, ca.encode(), directory_mode=PRIVATE)
            authority.put_server_file(server_config.KEY_FILE, pem.key)
            authority.put_server_file(server_config.CERT_FILE, pem.certificate)
        elif founding.sans:
            made = certificates.new_ca(clock.now())
            replace_file(directory / CA_KEY_FILE, made.key.encode(), directory_mode=PRIVATE)
            replace_file(directory / CA_FILE, made.certificate.encode(), directory_mode=PRIVATE)
            authority.renew_certificate(founding.sans, founding.lifetime)
        authority.save(record)


@contextmanager
def opened(directory: Path, clock: Clock) -> Generator[Authority]:
    """The authority of a directory; one process at a time.  Raises StateError in one sentence."""
    path = directory / FILE
    with ExitStack() as lock:
        try:
            if not path.exists():
                raise StateError(f"{directory} has no authority of a bus: make one with `kilonova bus init`.")
            lock.enter_context(_locked(directory))
            record = _FORM.validate_json(path.read_bytes())
        except ValidationError:
            raise StateError(f"{path} is damaged, or not the authority of a bus: restore it from a backup.") from None
        except OSError as exc:
            raise StateError(f"The authority {directory} cannot be used: {exc.strerror}.") from exc
        yield Authority(directory, record, clock)


@contextmanager
def _locked(directory: Path) -> Generator[None]:
    with (directory / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def moment(second: int) -> datetime:
    """A time of `Issued` as a datetime."""
    return datetime.fromtimestamp(second, UTC)
