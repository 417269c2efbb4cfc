# SPDX-License-Identifier: Apache-2.0
"""Real credentials on a real NATS server with TLS: nobody speaks for another, and nobody hears what is another's."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kilonova.base.errors import ConfigError, RpcTimeout, RpcUnavailable
from kilonova.rpc import authority, certificates, credentials
from kilonova.rpc.nats import NatsBus
from kilonova.rpc.nats_jwt import Rights
from kilonova.rpc.reasons import NO_TLS
from kilonova.rpc.transport_url import Access
from kilonova.rpcapi.permissions import Role
from tests.contract.buses import nats_server, run
from tests.contract.trust import CLOCK, Bench, trusted
from tests.make import until

pytestmark = pytest.mark.live


@pytest.fixture
def bench() -> Iterator[Bench]:
    with trusted() as made:
        yield made


async def echo(subject: str, payload: bytes) -> bytes:
    return subject.encode() + b"|" + payload


def test_a_host_and_a_conductor_and_an_api_talk(bench: Bench) -> None:
    async def test() -> None:
        async with (
            bench.bus(Role.CONDUCTOR, "c1") as conductor,
            bench.bus(Role.HOST, "h.1") as host,
            bench.bus(Role.API, "a1") as api,
            bench.bus(Role.OPERATOR, "o1") as operator,
        ):
            assert conductor.connected, conductor.reason
            await conductor.subscribe("conductor.host.*", echo, queue="conductors")
            await conductor.subscribe("conductor.api", echo, queue="conductors")
            await conductor.subscribe("conductor.operators", echo, queue="conductors")
            await host.subscribe("compute.h%2e1", echo)
            await host.subscribe("ping.host-h%2e1.p", echo)
            assert await host.request("conductor.host.h%2e1", b"x", 5) == b"conductor.host.h%2e1|x"
            assert await host.request("ping.host-h%2e1.p", b"x", 5) == b"ping.host-h%2e1.p|x"
            assert await conductor.request("compute.h%2e1", b"x", 5) == b"compute.h%2e1|x"
            assert await api.request("compute.h%2e1", b"x", 5) == b"compute.h%2e1|x"
            assert await api.request("conductor.api", b"x", 5) == b"conductor.api|x"
            assert await operator.request("conductor.operators", b"x", 5) == b"conductor.operators|x"

    with capture_logs() as lines:
        run(test)
    assert lines == []


def test_a_host_cannot_speak_for_another_nor_as_an_api(bench: Bench) -> None:
    async def test() -> None:
        heard: list[str] = []

        async def note(subject: str, _payload: bytes) -> bytes:
            heard.append(subject)
            return b""

        async with bench.bus(Role.CONDUCTOR, "c1") as conductor, bench.bus(Role.HOST, "h1") as hostile:
            for subject in ("conductor.host.*", "conductor.api", "conductor.operators", "heartbeat.*"):
                await conductor.subscribe(subject, note)
            wrong = ("conductor.host.h2", "heartbeat.h2", "conductor.api", "conductor.operators", "compute.h2")
            with capture_logs() as lines:
                for subject in (*wrong, "_INBOX.host-h2.guess.1", "_INBOX.api-a1.guess.1", "$SYS.REQ.CLAIMS.UPDATE"):
                    await hostile.publish(subject, b"evil")
                await hostile.request("conductor.host.h1", b"mine", 5)
            assert heard == ["conductor.host.h1"]
            assert len([line for line in lines if "permissions violation" in line["error"]]) == 8
            assert hostile.connected

    run(test)
    assert "Publish Violation" in bench.server.log.read_text()


def test_a_host_hears_nothing_of_others(bench: Bench) -> None:
    async def test() -> None:
        stolen: list[str] = []

        async def steal(subject: str, _payload: bytes) -> bytes:
            stolen.append(subject)
            return b"forged"

        async with (
            bench.bus(Role.CONDUCTOR, "c1") as conductor,
            bench.bus(Role.HOST, "h1") as hostile,
            bench.bus(Role.HOST, "h2") as other,
        ):
            await conductor.subscribe("conductor.host.*", echo)
            await other.subscribe("compute.h2", echo)
            with capture_logs() as lines:
                for subject in (">", "*", "_INBOX.>", "_INBOX.host-h2.>", "_INBOX.conductor-c1.>", "compute.*"):
                    await hostile.subscribe(subject, steal)
                for subject in ("compute.h2", "conductor.host.*", "conductor.host.h2", "heartbeat.*", "$SYS.>"):
                    await hostile.subscribe(subject, steal)
                    await hostile.subscribe(subject, steal, queue="conductors")
                for _ in range(20):
                    assert await other.request("conductor.host.h2", b"secret", 5) == b"conductor.host.h2|secret"
                    assert await conductor.request("compute.h2", b"secret", 5) == b"compute.h2|secret"
            assert stolen == []
            assert len(lines) >= 11
            assert all("permissions violation for subscription" in line["error"] for line in lines)

    run(test)
    assert "Subscription Violation" in bench.server.log.read_text()


def test_a_host_replies_once_and_to_its_caller_only(bench: Bench) -> None:
    async def test() -> None:
        async with bench.bus(Role.CONDUCTOR, "c1") as conductor, bench.bus(Role.HOST, "h1") as host:
            await host.subscribe("compute.h1", echo)
            assert await conductor.request("compute.h1", b"x", 5) == b"compute.h1|x"
            connection = conductor._connection  # pyright: ignore[reportPrivateUsage]
            assert connection is not None
            with capture_logs() as lines:
                await host.publish(f"{conductor._inbox}.1", b"again")  # pyright: ignore[reportPrivateUsage]
                await until(lambda: bool(lines))
            assert "permissions violation for publish" in lines[0]["error"]

    run(test)


def test_a_host_cannot_reach_anothers_inbox_or_subject_through_a_conductor(bench: Bench) -> None:
    """A request names the subject of its reply, and a conductor may publish to many."""

    async def test() -> None:
        heard: list[str] = []
        release = asyncio.Event()

        async def slow(_subject: str, _payload: bytes) -> bytes:
            await release.wait()
            return b"true"

        async def note(subject: str, _payload: bytes) -> bytes:
            heard.append(subject)
            return b""

        async with (
            bench.bus(Role.CONDUCTOR, "c1") as conductor,
            bench.bus(Role.API, "a1") as api,
            bench.bus(Role.HOST, "h1") as hostile,
            bench.bus(Role.HOST, "h2") as other,
        ):
            await conductor.subscribe("conductor.api", slow)
            await conductor.subscribe("conductor.operators", note)
            await conductor.subscribe("conductor.host.*", echo)
            await other.subscribe("compute.h2", note)
            connection = hostile._connection  # pyright: ignore[reportPrivateUsage]
            assert connection is not None
            async with asyncio.TaskGroup() as group:
                asked = group.create_task(api.request("conductor.api", b"x", 10))
                await asyncio.sleep(0.1)
                inbox = api._inbox  # pyright: ignore[reportPrivateUsage]
                for number in range(50):
                    await connection.send("conductor.host.h1", b"forged", f"{inbox}.{number}")
                for subject in ("compute.h2", "conductor.operators"):
                    await connection.send("conductor.host.h1", b"forged", subject)
                assert await hostile.request("conductor.host.h1", b"x", 5) == b"conductor.host.h1|x"
                release.set()
            assert asked.result() == b"true"
            assert await other.request("conductor.host.h2", b"x", 5) == b"conductor.host.h2|x"
            assert heard == []

    run(test)


def test_a_revoked_host_is_cut_at_once_and_stays_out_after_a_restart_of_the_server(bench: Bench) -> None:
    async def test() -> None:
        async with bench.bus(Role.HOST, "h1") as host, bench.bus(Role.HOST, "h2") as other:
            with capture_logs() as lines:
                await asyncio.to_thread(bench.revoke, Role.HOST, "h1")
                await until(lambda: not host.connected)
                await asyncio.sleep(1)
                bench.server.stop()
                await asyncio.to_thread(bench.server.start)
                await until(lambda: other.connected)
                await asyncio.sleep(1)
            assert not host.connected
            with pytest.raises(RpcUnavailable, match="refuses the credentials of host-h1: revoked"):
                await host.request("conductor.host.h1", b"x", 1)
        refused = [line for line in lines if "refuses the credentials" in str(line.get("reason"))]
        assert len(refused) == 1, lines

    run(test)


def test_a_name_that_was_revoked_can_be_enrolled_again(bench: Bench) -> None:
    bench.issue(Role.HOST, "h1")
    bench.revoke(Role.HOST, "h1")
    bench.issue(Role.HOST, "h1")

    async def test() -> None:
        async with bench.bus(Role.HOST, "h1") as host:
            assert host.connected, host.reason

    run(test)


def test_rotation_loses_no_request(bench: Bench) -> None:
    async def test() -> None:
        async def slowly(subject: str, payload: bytes) -> bytes:
            await asyncio.sleep(0.3)
            return await echo(subject, payload)

        async with bench.bus(Role.CONDUCTOR, "c1") as conductor, bench.bus(Role.HOST, "h1") as host:
            await conductor.subscribe("conductor.host.*", slowly, queue="conductors")
            await host.subscribe("compute.h1", slowly)
            done, stop = [0, 0], False

            async def ask(number: int, bus: NatsBus, subject: str) -> None:
                while not stop:
                    assert await bus.request(subject, b"x", 5) == subject.encode() + b"|x"
                    done[number] += 1

            with capture_logs() as lines:
                async with asyncio.TaskGroup() as group:
                    for _ in range(10):
                        group.create_task(ask(0, host, "conductor.host.h1"))
                        group.create_task(ask(1, conductor, "compute.h1"))
                    for role, name in ((Role.HOST, "h1"), (Role.CONDUCTOR, "c1")):
                        await asyncio.sleep(0.5)
                        await asyncio.to_thread(bench.issue, role, name)
                        await until(lambda: any(name in str(line.get("identity")) for line in lines))  # noqa: B023
                        before = list(done)
                        await until(lambda: all(now > then for now, then in zip(done, before, strict=True)))  # noqa: B023
                        await asyncio.sleep(1.5)  # the former connection is closed meanwhile
                        await asyncio.to_thread(bench.revoke, role, name, former=True)
                        await asyncio.sleep(0.5)
                    stop = True
            assert host.connected
            assert conductor.connected
            assert [line["event"] for line in lines] == ["the bus uses new credentials"] * 2, lines

    run(test)


def test_a_new_file_that_cannot_be_used_changes_nothing(bench: Bench) -> None:
    async def test() -> None:
        async with bench.bus(Role.HOST, "h1") as host:
            path = bench.file(Role.HOST, "h1")
            for text in ("{}", bench.access(Role.HOST, "h2") and bench.file(Role.HOST, "h2").read_text()):
                with capture_logs() as lines:
                    path.write_text(text)
                    await until(lambda: bool(lines))
                    await asyncio.sleep(2.5)
                assert [line["event"][:34] for line in lines] == ["the new credentials cannot be used"]
                assert host.connected

    run(test)


async def _lines_of(seconds: float, lines: Sequence[Mapping[str, object]]) -> bool:
    """Whether something was logged in this time."""
    before = len(lines)
    await asyncio.sleep(seconds)
    return any(line["log_level"] != "debug" for line in lines[before:])


def test_expired_credentials_are_cut_and_named(bench: Bench) -> None:
    async def test() -> None:
        bench.issue(Role.HOST, "h1", lifetime=timedelta(seconds=2))
        with capture_logs() as lines:
            async with bench.bus(Role.HOST, "h1") as host:
                assert host.connected
                await until(lambda: not host.connected)
                await until(lambda: "expired at" in host.reason)
                await until(lambda: "expired at" in str(lines))
                async with asyncio.timeout(30):
                    while await _lines_of(1.5, lines):  # an attempt that began in the second of the expiry may succeed
                        pass
                assert not host.connected

    run(test)


def test_a_server_of_another_ca_is_refused(bench: Bench) -> None:
    access = bench.access(Role.HOST, "h1")
    path = Path(access.credentials_file)
    credentials.write(path, replace(credentials.read(path), ca=certificates.new_ca(CLOCK.now()).certificate))
    assert_not_connected(access, "not signed by the CA of the credentials file")


def test_the_cas_of_the_system_do_not_vouch_for_the_bus(bench: Bench) -> None:
    path = Path(bench.access(Role.HOST, "h1").credentials_file)
    credentials.write(path, replace(credentials.read(path), ca=""))
    assert_not_connected(Access(credentials_file=str(path)), "not signed by the CA")


def test_a_ca_file_takes_the_place_of_the_one_in_the_credentials(bench: Bench) -> None:
    access = replace(bench.access(Role.HOST, "h1"), ca_file=str(bench.authority / "ca.crt"))

    async def test() -> None:
        async with NatsBus(access, "host-h1", CLOCK) as bus:
            assert bus.connected

    run(test)


def test_an_expired_certificate_is_named_and_a_new_one_of_the_same_ca_is_taken(bench: Bench) -> None:
    def renew(lifetime: timedelta) -> None:
        with authority.opened(bench.authority, CLOCK) as found:
            found.renew_certificate(["127.0.0.1"], lifetime)
        bench.server.stop()
        bench.server.start()

    renew(timedelta(seconds=-1))
    access = bench.access(Role.HOST, "h1")
    assert_not_connected(access, "certificate of the server has expired")
    renew(timedelta(days=1))

    async def test() -> None:
        async with NatsBus(access, "host-h1", CLOCK) as bus:
            assert bus.connected

    run(test)


def test_a_certificate_for_another_name_is_refused(bench: Bench) -> None:
    with authority.opened(bench.authority, CLOCK) as found:
        found.renew_certificate(["nats.example.org"], timedelta(days=1))
    bench.server.stop()
    bench.server.start()
    assert_not_connected(bench.access(Role.HOST, "h1"), "for other names")


def test_credentials_of_another_authority_are_refused(bench: Bench) -> None:
    with trusted() as foreign:
        access = foreign.access(Role.HOST, "h1")
    path = Path(bench.directory / "foreign.kilonova")
    ours = credentials.read(Path(bench.access(Role.HOST, "h1").credentials_file))
    stranger = replace(credentials_of(foreign), servers=ours.servers, ca=ours.ca)
    assert access.credentials_file
    credentials.write(path, stranger)
    assert_not_connected(Access(credentials_file=str(path)), "refuses the credentials of host-h1")


def credentials_of(bench: Bench) -> credentials.Credentials:
    from kilonova.rpc import nats_jwt
    from kilonova.rpc.nats_jwt import KeyKind

    account, user = nats_jwt.new_seed(KeyKind.ACCOUNT, CLOCK), nats_jwt.new_seed(KeyKind.USER, CLOCK)
    key = nats_jwt.public_key(user)
    jwt = nats_jwt.user(account, key, "host-h1", (int(time.time()), None), Rights((">",), (">",)))
    return credentials.Credentials("host-h1", bench.servers[0].url and (bench.servers[0].url,), jwt, user)


def test_a_server_without_tls_receives_no_byte_of_ours() -> None:
    received = bytearray()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"auth_required":true,"nonce":"n"}\r\n'
        )
        received.extend(await reader.read(1000))
        writer.close()

    async def test() -> None:
        listener = await asyncio.start_server(plain, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        async with listener, NatsBus(f"tls://u:hunter2@127.0.0.1:{port}", "h1", CLOCK) as bus:
            await until(lambda: bus.reason == NO_TLS)

    with capture_logs() as lines:
        run(test)
    assert received == b""
    assert len([line for line in lines if line["log_level"] == "warning"]) == 1


def test_a_server_that_wants_a_client_certificate_gets_it() -> None:
    ca = certificates.new_ca(CLOCK.now())
    pem = certificates.new_server(ca, ["127.0.0.1"], CLOCK.now(), timedelta(days=1))

    async def test(url: str, access: Access, *, connects: bool) -> None:
        async with NatsBus(replace(access, url=url), "h1", CLOCK) as bus:
            assert bus.connected == connects, bus.reason

    with nats_server() as plain:
        directory = plain._directory  # pyright: ignore[reportPrivateUsage]
        for name, text in (("ca", ca.certificate), ("cert", pem.certificate), ("key", pem.key)):
            (directory / name).write_text(text)
        files = {"cert_file": directory / "cert", "key_file": directory / "key", "ca_file": directory / "ca"}
        tls = "tls {\n%s \n verify: true }" % "\n".join(f'{name}: "{path}"' for name, path in files.items())  # noqa: UP031
        with nats_server(tls) as server:
            url = server.url.replace("nats://", "tls://")
            with_certificate = Access(
                ca_file=str(files["ca_file"]), cert_file=str(files["cert_file"]), key_file=str(files["key_file"])
            )
            run(lambda: test(url, with_certificate, connects=True))
            run(lambda: test(url, Access(ca_file=str(files["ca_file"])), connects=False))


def test_one_of_two_servers_dies_and_hosts_go_on_at_the_other() -> None:
    with trusted(2) as bench:

        async def test() -> None:
            async with bench.bus(Role.CONDUCTOR, "c1") as conductor, bench.bus(Role.HOST, "h1") as host:
                await conductor.subscribe("conductor.host.*", echo, queue="conductors")

                async def answered() -> None:
                    async with asyncio.timeout(20):
                        while True:
                            try:
                                assert await host.request("conductor.host.h1", b"x", 1) == b"conductor.host.h1|x"
                                return
                            except (RpcTimeout, RpcUnavailable):
                                await asyncio.sleep(0.05)

                await answered()
                for server in bench.servers:
                    server.stop()
                    await answered()
                    await asyncio.to_thread(server.start)
                    await answered()

        run(test)


def test_a_revocation_reaches_every_server_of_a_cluster() -> None:
    with trusted(2) as bench:

        async def test() -> None:
            async with bench.bus(Role.CONDUCTOR, "c1"):
                paths = []
                for number, server in enumerate(bench.servers):
                    path = bench.directory / f"one{number}"
                    credentials.write(path, replace(bench.issue(Role.HOST, "h1"), servers=(server.url,)))
                    paths.append(path)
                async with (
                    NatsBus(Access(credentials_file=str(paths[0])), "x", CLOCK) as first,
                    NatsBus(Access(credentials_file=str(paths[1])), "x", CLOCK) as second,
                ):
                    assert first.connected
                    assert second.connected
                    await asyncio.to_thread(bench.revoke, Role.HOST, "h1")
                    await until(lambda: not first.connected)
                    await until(lambda: not second.connected)

        run(test)


def assert_not_connected(access: Access, words: str) -> None:
    """The reason is logged once, over several attempts."""

    async def test() -> None:
        async with NatsBus(access, "host-h1", CLOCK) as bus:
            await until(lambda: words in bus.reason)
            await asyncio.sleep(1.5)
            assert not bus.connected

    with capture_logs() as lines:
        run(test)
    (line,) = (line for line in lines if line["log_level"] != "debug")
    assert words in line["reason"]


def test_nothing_of_a_damaged_file_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "h1.kilonova"
    path.write_text('{"identity": "host-h1", "seed": "SUAHUNTER2"}')
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="is not a credentials file") as caught:
        NatsBus(Access(credentials_file=str(path)), "x", CLOCK)
    assert "HUNTER2" not in str(caught.value)
    assert caught.value.__cause__ is None
