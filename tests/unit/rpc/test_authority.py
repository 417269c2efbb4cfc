# SPDX-License-Identifier: Apache-2.0
"""The authority of a bus: what it issues, what it remembers, and what its commands say."""

import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kilonova.base.clock import SystemClock
from kilonova.base.errors import ConfigError, Conflict, KilonovaError, NotFound, StateError
from kilonova.cmd.main import app
from kilonova.rpc import authority, certificates, credentials, nats_jwt
from kilonova.rpc.authority import Founding
from kilonova.rpc.nats_jwt import KeyKind, Rights
from kilonova.rpc.transport_url import Access, guarded

CLOCK = SystemClock()
RIGHTS = Rights(("a",), ("b",), replies=True)


def made(directory: Path, *servers: str) -> Path:
    where = directory / "authority"
    sans = ("h1",) if not servers or servers[0].startswith("tls") else ()
    authority.found(where, Founding(servers or ("tls://h1:4222",), where / "server", sans), CLOCK)
    return where


def test_an_authority_is_private_and_made_once(tmp_path: Path) -> None:
    where = made(tmp_path)
    for name in ("authority.json", "ca.key", "server/server.key", "server/nats-server.conf"):
        assert stat.S_IMODE((where / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(where.stat().st_mode) == 0o700
    before = (where / "authority.json").read_text()
    with pytest.raises(Conflict, match="already has an authority"):
        made(tmp_path)
    assert (where / "authority.json").read_text() == before
    with authority.opened(where, CLOCK) as found:
        assert "SA" not in repr(found._record)  # pyright: ignore[reportPrivateUsage]


def test_no_secret_key_goes_to_the_servers(tmp_path: Path) -> None:
    where = made(tmp_path)
    record = json.loads((where / "authority.json").read_text())
    text = "".join(path.read_text() for path in (where / "server").iterdir() if path.name != "server.key")
    for name in ("operator_seed", "account_seed", "system_seed"):
        assert record[name] not in text
    assert (where / "ca.key").read_text() not in text


def test_issued_credentials_are_signed_by_the_account_and_pinned(tmp_path: Path) -> None:
    with authority.opened(made(tmp_path), CLOCK) as found:
        issued = found.issue("host-h1", RIGHTS, timedelta(days=1))
        claims, account = nats_jwt.claims_of(issued.jwt), nats_jwt.claims_of(found.account_jwt())
    assert claims["iss"] == account["sub"]
    assert claims["sub"] == nats_jwt.public_key(issued.seed)
    assert claims["exp"] - claims["iat"] == 86400
    assert claims["nats"]["pub"] == {"allow": ["a"]}
    assert claims["nats"]["sub"] == {"allow": ["b"]}
    assert claims["nats"]["resp"]["max"] == 1
    assert issued.seed not in repr(issued)
    assert issued.jwt not in repr(issued)


def test_nothing_allowed_is_not_everything_allowed() -> None:
    account, user = nats_jwt.new_seed(KeyKind.ACCOUNT, CLOCK), nats_jwt.new_seed(KeyKind.USER, CLOCK)
    jwt = nats_jwt.user(account, nats_jwt.public_key(user), "x", (0, None), Rights((), ()))
    found = nats_jwt.claims_of(jwt)["nats"]
    assert found["pub"] == found["sub"] == {"deny": [">"]}
    assert "resp" not in found


def test_a_revocation_is_kept_and_its_account_is_newer_each_time(tmp_path: Path) -> None:
    where = made(tmp_path)
    times: list[int] = []
    for number in range(3):
        with authority.opened(where, CLOCK) as found:
            found.issue(f"host-h{number}", RIGHTS, None)
            assert found.revoke(f"host-h{number}") == 1
            claims = nats_jwt.claims_of(found.account_jwt())
            times.append(claims["iat"])
            assert len(claims["nats"]["revocations"]) == number + 1
            assert found.account_jwt() in (where / "server/nats-server.conf").read_text()
    assert times == sorted(set(times))


def test_after_a_rotation_only_the_former_ones_are_revoked(tmp_path: Path) -> None:
    with authority.opened(made(tmp_path), CLOCK) as found:
        with pytest.raises(NotFound):
            found.revoke("host-h1")
        found.issue("host-h1", RIGHTS, None)
        with pytest.raises(Conflict, match="only its newest"):
            found.revoke("host-h1", keep_newest=True)
        newest = found.issue("host-h1", RIGHTS, None)
        assert found.revoke("host-h1", keep_newest=True) == 1
        (left,) = found.valid("host-h1")
        assert left.key == nats_jwt.public_key(newest.seed)


@pytest.mark.parametrize("damage", ["", "{}", "[1]", '{"servers": 1}'])
def test_a_damaged_authority_is_one_sentence(tmp_path: Path, damage: str) -> None:
    where = made(tmp_path)
    (where / "authority.json").write_text(damage)
    with pytest.raises(StateError, match="damaged, or not the authority"), authority.opened(where, CLOCK):
        pass
    with pytest.raises(StateError, match="make one with"), authority.opened(tmp_path / "none", CLOCK):
        pass


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.unlink(), "cannot be read: No such file"),
        (lambda path: path.chmod(0o604), "accessible to every user"),
        (lambda path: path.write_text("{"), "not a credentials file"),
        (lambda path: path.write_text(path.read_text().replace("SU", "SX")), "not a credentials file"),
        (lambda path: path.write_text(path.read_text().replace(".ey", ".fy")), "not a credentials file"),
        (lambda path: path.write_text(path.read_text().replace('credentials": 1', 'credentials": 2')), "has format 2"),
        (
            lambda path: path.write_text(path.read_text().replace("BEGIN CERT", "BEGIN PERT")),
            "not a certificate in PEM",
        ),
    ],
)
def test_a_credentials_file_that_cannot_be_used_is_one_sentence(tmp_path: Path, change, words: str) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "h1.kilonova"
    with authority.opened(made(tmp_path), CLOCK) as found:
        issued = found.issue("host-h1", RIGHTS, None)
    credentials.write(path, issued)
    assert credentials.read(path) == issued
    change(path)
    with pytest.raises(ConfigError, match=words) as caught:
        Access(credentials_file=str(path)).read()
    assert issued.seed not in str(caught.value)


def test_credentials_serve_beyond_this_machine(tmp_path: Path) -> None:
    path = tmp_path / "h1.kilonova"
    with authority.opened(made(tmp_path, "tls://192.0.2.1:4222"), CLOCK) as found:
        credentials.write(path, found.issue("host-h1", RIGHTS, None))
    assert guarded(Access(credentials_file=str(path))).servers.addresses == ("tls://192.0.2.1:4222",)
    assert guarded(Access("tls://h2", str(path))).servers.addresses == ("tls://h2:4222",)
    with pytest.raises(ConfigError, match="remove the user from the URL"):
        Access("tls://u:p@h2", str(path)).read()


def run(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    if isinstance(done.exception, KilonovaError):
        return 1, str(done.exception)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


def test_the_commands(tmp_path: Path) -> None:
    where, file = tmp_path / "a", tmp_path / "h1.kilonova"
    at = ("--authority", where)
    assert run("bus", "init", where, "--server", "tls://127.0.0.1:1", "--server", "tls://h2:4222")[0] == 0
    text = (where / "server/nats-server.conf").read_text()
    assert 'routes: ["nats-route://127.0.0.1:6222", "nats-route://h2:6222"]' in text
    assert run("bus", "init", where, "--server", "tls://h")[0] == 1
    assert "no valid credentials" in run("host", "rotate", "h1", *at, "--output", file)[1]
    assert run("host", "enroll", "h1", *at, "--output", file, "--days", 30)[0] == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "has credentials already" in run("host", "enroll", "h1", *at, "--output", tmp_path / "x")[1]
    assert "exists" in run("host", "rotate", "h1", *at, "--output", file)[1]
    assert run("host", "rotate", "h1", *at, "--output", tmp_path / "new")[0] == 0
    for name in ("*", "h >", "", "a/b", "-"):
        assert "is not a name" in run("host", "enroll", "--authority", where, "--", name)[1], name
    assert "no role boss" in run("bus", "credentials", "x", "--role", "boss", *at)[1]
    assert run("bus", "credentials", "a1", "--role", "api", *at, "--output", tmp_path / "a1")[0] == 0
    assert credentials.read(tmp_path / "a1").identity == "api-a1"
    status, output = run("host", "revoke", "h1", *at, "--former")  # no server listens there
    assert status == 1
    assert "It is recorded, and no server has received it" in output
    assert "kilonova bus push" in output
    listed = run("bus", "list", *at)[1].splitlines()
    assert [line.split()[0] for line in listed] == ["host-h1", "host-h1", "api-a1"]
    assert "revoked" in listed[0]
    assert "valid" in listed[1]


def test_own_certificate_files_are_used_unchanged(tmp_path: Path) -> None:
    ca = certificates.new_ca(CLOCK.now())
    pem = certificates.new_server(ca, ["h1", "192.0.2.1"], CLOCK.now(), timedelta(days=90))
    files = {"ca": ca.certificate, "crt": pem.certificate, "key": pem.key}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    where = tmp_path / "a"
    words = ("bus", "init", where, "--server", "tls://h1", "--certificate", *(tmp_path / name for name in files))
    assert run(*words)[0] == 0
    assert (where / "server/server.crt").read_text() == pem.certificate
    assert (where / "server/ca.crt").read_text() == ca.certificate
    assert "has no CA of its own" in run("bus", "certificate", "--authority", where)[1]
    gap = certificates.expiry_of(pem.certificate) - CLOCK.now()
    assert timedelta(days=89) < gap <= timedelta(days=90)
