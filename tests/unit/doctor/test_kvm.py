# SPDX-License-Identifier: Apache-2.0
"""KVM: the device, the trap of the capability cache, the verdict.  Situations are arguments, so root is not needed."""

import asyncio
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.doctor import kvm
from kilonova.doctor.finding import Level
from kilonova.doctor.kvm import Device
from kilonova.doctor.subject import Places, User
from kilonova.virt.libvirt.host import checks
from kilonova.virt.libvirt.host.checks import Verdict
from tests.unit.doctor.arranged import QEMU, subject

ROOTS_ONLY = Device("/dev/kvm", stat.S_IFCHR | 0o600, 0, 0)
AS_UDEV_MAKES_IT = Device("/dev/kvm", stat.S_IFCHR | 0o660, 0, 107)


def test_the_trap_is_found_explained_and_cured() -> None:
    found = kvm.judge_capability_cache(ROOTS_ONLY, QEMU, 0)
    assert found.level is Level.ERROR
    assert "48 s" in found.found
    assert "libvirt-qemu" in found.found
    assert found.cure.startswith("chgrp kvm /dev/kvm && chmod 660 /dev/kvm")


@pytest.mark.parametrize(
    ("device", "user", "daemon", "level"),
    [
        (AS_UDEV_MAKES_IT, QEMU, 0, Level.OK),
        (replace(ROOTS_ONLY, mode=stat.S_IFCHR | 0o666), QEMU, 0, Level.OK),
        (ROOTS_ONLY, User("root", 0, frozenset({0})), 0, Level.OK),
        (ROOTS_ONLY, QEMU, None, Level.OK),
        (None, QEMU, 0, Level.OK),
        (replace(ROOTS_ONLY, mode=stat.S_IFREG), QEMU, 0, Level.OK),
        (replace(ROOTS_ONLY, listed=True), QEMU, 0, Level.NOTE),
        (AS_UDEV_MAKES_IT, None, 0, Level.WARNING),
    ],
)
def test_what_is_no_trap(device: Device | None, user: User | None, daemon: int | None, level: Level) -> None:
    assert kvm.judge_capability_cache(device, user, daemon).level is level


def test_a_user_outside_of_the_group_is_put_into_it() -> None:
    stranger = User("libvirt-qemu", 64055, frozenset({64055}))
    found = kvm.judge_capability_cache(AS_UDEV_MAKES_IT, stranger, 0)
    assert found.level is Level.ERROR
    assert found.cure.startswith("usermod -aG ")


@pytest.mark.parametrize(
    ("device", "usable", "cpu", "virt_type", "level", "words"),
    [
        (AS_UDEV_MAKES_IT, True, True, "auto", Level.OK, "this user can use it"),
        (AS_UDEV_MAKES_IT, False, True, "auto", Level.WARNING, "cannot use it"),
        (None, False, True, "auto", Level.WARNING, "the processor can"),
        (None, False, False, "auto", Level.WARNING, "slower"),
        (None, False, False, "kvm", Level.ERROR, "slower"),
        (None, False, False, "qemu", Level.NOTE, "slower"),
        (replace(AS_UDEV_MAKES_IT, mode=stat.S_IFREG | 0o660), True, True, "auto", Level.WARNING, "not a device"),
    ],
)
def test_the_device(device: Device | None, usable: bool, cpu: bool, virt_type: str, level: Level, words: str) -> None:
    found = kvm.judge_device(device, usable, cpu, virt_type)
    assert (found.level, words in found.found) == (level, True), found


def test_nobody_is_put_into_roots_group_nor_into_one_without_rights() -> None:
    assert kvm.judge_device(AS_UDEV_MAKES_IT, False, True, "auto").cure.startswith("usermod -aG ")
    for device in (ROOTS_ONLY, replace(ROOTS_ONLY, gid=107), replace(AS_UDEV_MAKES_IT, gid=0)):
        cure = kvm.judge_device(device, False, True, "auto").cure
        assert cure.startswith("chgrp kvm /dev/kvm && chmod 660 /dev/kvm && usermod -aG kvm "), cure


def test_a_verdict_holds_for_this_machine_only(tmp_path: Path) -> None:
    host = subject(tmp_path)
    assert "was not tried" in kvm.verdict(host).found
    assert kvm.verdict(host).level is Level.NOTE
    assert kvm.verdict(subject(tmp_path, libvirt__virt_type="kvm")).level is Level.WARNING  # no probe is made at start
    now = checks.this_machine()
    checks.write_verdict(tmp_path, Verdict(True, "a kernel booted under KVM", now))
    assert kvm.verdict(host).level is Level.OK
    checks.write_verdict(tmp_path, Verdict(True, "", replace(now, boot_id="another")))
    assert "was booted since" in kvm.verdict(host).found
    checks.write_verdict(tmp_path, Verdict(True, "", replace(now, qemu="another")))
    assert "QEMU is another" in kvm.verdict(host).found
    checks.write_verdict(tmp_path, Verdict(True, "", replace(now, kvm="another")))
    assert "rights on /dev/kvm" in kvm.verdict(host).found
    (tmp_path / checks.VERDICT_FILE).write_text("{")
    assert "damaged" in kvm.verdict(host).found


def test_a_kvm_that_hangs_is_an_error_only_where_it_is_demanded(tmp_path: Path) -> None:
    checks.write_verdict(tmp_path, Verdict(False, "it hung", checks.this_machine()))
    assert kvm.verdict(subject(tmp_path)).level is Level.NOTE
    assert kvm.verdict(subject(tmp_path, libvirt__virt_type="kvm")).level is Level.ERROR
    assert kvm.verdict(subject(tmp_path, libvirt__virt_type="qemu")).level is Level.OK


def test_a_proof_that_cannot_be_made_or_kept_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "KVM", tmp_path / "kvm")
    found = asyncio.run(kvm.prove(subject(tmp_path), tmp_path / "none", tmp_path / "none"))
    assert (found.check, found.level) == ("kvm-verdict", Level.ERROR)
    assert found.found == f"There is no file {tmp_path}/none to boot."
    (tmp_path / "file").touch()
    found = asyncio.run(kvm.prove(subject(tmp_path / "file"), tmp_path / "file", tmp_path / "file"))
    assert found.level is Level.ERROR
    assert "cannot be stored" in found.found


def test_the_processor_is_asked(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("flags : fpu vmx\n")
    host = subject(tmp_path, Places(kvm=tmp_path / "kvm", proc=tmp_path))
    assert "the processor can do it" in kvm.device(host).found
    assert kvm.capability_cache(host).level is Level.OK


def test_the_device_is_the_one_that_the_daemon_sees(tmp_path: Path) -> None:
    assert kvm.read_device(Path("/dev/null")) is None  # hidden
    assert kvm.read_device(tmp_path / "none") is None
    found = kvm.read_device(Path("/dev/zero"))
    assert found is not None
    assert stat.S_ISCHR(found.mode)
