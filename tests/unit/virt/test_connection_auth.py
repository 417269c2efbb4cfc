# SPDX-License-Identifier: Apache-2.0
"""Name and password: a private daemon that really asks for them."""

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from kilonova.base.errors import HypervisorError, HypervisorUnavailable
from kilonova.base.tasks import Supervisor
from kilonova.config.load import load
from kilonova.objects.ids import InstanceId
from kilonova.virt.libvirt.connection import opening
from kilonova.virt.libvirt.connection.opening import Failure, Opened, OpenOptions
from kilonova.virt.libvirt.driver import LibvirtDriver
from lab.common import LabError
from lab.counting import cannot_run
from lab.sasl_libvirtd import SaslLibvirtd
from tests.contract.drivers import RecordingVirtAPI
from tests.make import until
from tests.unit.virt.test_connection import play

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def daemon() -> Iterator[SaslLibvirtd]:
    running = SaslLibvirtd(Path(tempfile.mkdtemp(prefix="kn-", dir="/tmp")), name="alice", password="se%cret")
    try:
        try:
            running.start()
        except LabError as exc:
            cannot_run(exc.sentence)
        yield running
    finally:
        running.remove()


def opened_with(daemon: SaslLibvirtd, auth_file: Path | None) -> Opened | Failure:
    options = OpenOptions(daemon.qemu_uri, auth_file=str(auth_file or ""))
    found = opening.open_connection(options, 1, lambda _reason: None, None)
    if isinstance(found, Opened):
        opening.close_connection(found)
    return found


@pytest.mark.parametrize(
    "content",
    [
        b"[credentials-x]\npassword=gr\xfcn\n",
        b"password=green\n",
        b"[credentials-x]\ngreen\n",
        b"[auth-libvirt-default]\ncredentials=x\n",
    ],
    ids=["no text", "no section", "no name", "nothing of that name"],
)
def test_an_auth_file_that_cannot_be_read_is_a_failure_that_tells_nothing_of_it(content: bytes, tmp_path: Path) -> None:
    """It is tried again, and ends nothing."""
    auth_file = tmp_path / "auth.conf"
    auth_file.write_bytes(content)
    options = OpenOptions("test:///default", auth_file=str(auth_file))
    failed = opening.open_connection(options, 1, lambda _reason: None, None)
    assert isinstance(failed, Failure)
    assert failed.code in opening.PERMANENT_CODES
    assert "gr" not in failed.message


def test_the_right_password_opens_and_no_other(daemon: SaslLibvirtd) -> None:
    assert isinstance(opened_with(daemon, daemon.auth_file), Opened)
    for auth_file in (daemon.write_auth_file("wrong", "guessed"), None):
        failed = opened_with(daemon, auth_file)
        assert isinstance(failed, Failure)
        assert failed.code in (libvirt.VIR_ERR_AUTH_FAILED, libvirt.VIR_ERR_AUTH_CANCELLED)
        assert "se%cret" not in failed.message


def test_a_wrong_password_is_told_once_tried_seldom_and_cured_by_the_file(daemon: SaslLibvirtd) -> None:
    async def test() -> None:
        virtapi = RecordingVirtAPI()
        auth_file = daemon.write_auth_file("mistyped", "guessed")
        options = {"connection_uri": daemon.qemu_uri, "auth_file": str(auth_file)}
        driver = LibvirtDriver(virtapi, load(overrides={("libvirt", name): value for name, value in options.items()}))
        async with Supervisor(virtapi.clock) as tasks:
            await driver.init_host(tasks)
            await until(lambda: bool(virtapi.errors))
            await asyncio.sleep(1)
            assert driver.connection.host.opens == 1
            ((_, payload),) = virtapi.errors
            assert "authentication failed" in payload["reason"].lower()
            assert "guessed" not in payload["reason"]
            with pytest.raises(HypervisorUnavailable):
                await driver.guest_states()
            # The file is read again at each attempt: no restart is needed.
            daemon.write_auth_file("mistyped", "se%cret")
            await until(lambda: virtapi.in_service)
            assert await driver.guest_states() == {}
            await driver.cleanup_host()

    play(test)


def test_a_read_only_driver_on_it_changes_nothing(daemon: SaslLibvirtd) -> None:
    async def test() -> None:
        virtapi = RecordingVirtAPI()
        options = {"connection_uri": daemon.qemu_uri, "auth_file": str(daemon.auth_file)}
        settings = load(overrides={("libvirt", name): value for name, value in options.items()})
        driver = LibvirtDriver(virtapi, settings, read_only=True)
        async with Supervisor(virtapi.clock) as tasks:
            await driver.init_host(tasks)
            await until(lambda: virtapi.in_service)
            with pytest.raises(HypervisorError, match="read-only"):
                await driver.power_on(InstanceId(virtapi.clock.new_id()), "m")
            conn = await driver.proxy()
            with pytest.raises(libvirt.libvirtError) as caught:
                await conn.defineXML("<domain type='qemu'><name>x</name></domain>")
            assert caught.value.get_error_code() == libvirt.VIR_ERR_OPERATION_DENIED
            await driver.cleanup_host()

    play(test)
