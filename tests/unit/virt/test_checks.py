# SPDX-License-Identifier: Apache-2.0
"""KVM is believed only where a kernel was seen to boot in it."""

import asyncio
import os
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kilonova.base.errors import InvalidInput
from kilonova.virt.libvirt.host import checks, kvm
from kilonova.virt.libvirt.host.checks import Verdict


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A device that is there, and a file to boot."""
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(checks, "KVM", device)
    path = tmp_path / "kernel"
    path.touch()
    return path


def qemu_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = tmp_path / "bin" / "qemu-system-x86_64"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def test_without_a_verdict_guests_run_without_kvm(tmp_path: Path) -> None:
    assert checks.VirtType(tmp_path).choose("auto") == "qemu"
    assert checks.VirtType(tmp_path).choose("kvm") == "kvm"
    assert checks.VirtType(tmp_path).choose("test") == "test"


def test_a_verdict_holds_for_this_machine_only(tmp_path: Path) -> None:
    machine = checks.this_machine()
    checks.write_verdict(tmp_path, Verdict(True, "", machine))
    assert checks.VirtType(tmp_path).choose("auto") == "kvm"
    for other in (replace(machine, boot_id="x"), replace(machine, qemu="x"), replace(machine, kvm="x")):
        checks.write_verdict(tmp_path, Verdict(True, "", other))
        assert checks.VirtType(tmp_path).choose("auto") == "qemu"
    checks.write_verdict(tmp_path, Verdict(False, "it hangs", machine))
    assert checks.VirtType(tmp_path).choose("auto") == "qemu"
    (tmp_path / checks.VERDICT_FILE).write_text('{"works": true')
    assert checks.read_verdict(tmp_path) is None


def test_a_kernel_that_speaks_is_the_proof(tmp_path: Path, kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # In two pieces: the word may lie over the seam of two reads.
    qemu_that(
        tmp_path, monkeypatch, "printf 'Linux...\\nKILONOVA-KER'; sleep 0.1; printf 'NEL-BOOTED\\r\\n'; exec sleep 60"
    )
    verdict = asyncio.run(kvm.prove(kernel, kernel, tmp_path))
    assert verdict.works
    assert checks.VirtType(tmp_path).choose("auto") == "kvm"


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo booting; exec sleep 60", "within 0.3 s; the last line was: booting"),
        (
            "echo 'KVM: entry failed' >&2; exit 1",
            "without booting a kernel; the last line was: KVM: entry failed",
        ),
    ],
)
def test_a_kernel_that_hangs_or_dies_is_none(
    tmp_path: Path, kernel: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    qemu_that(tmp_path, monkeypatch, script)
    verdict = asyncio.run(kvm.prove(kernel, kernel, tmp_path, limit_s=0.3))
    assert not verdict.works
    assert why in verdict.why
    assert checks.read_verdict(tmp_path) == verdict


def test_what_is_missing_is_named(tmp_path: Path, kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    qemu_that(tmp_path, monkeypatch, "exit 0")
    checks.KVM.unlink()
    assert "no /dev/kvm" in asyncio.run(kvm.prove(kernel, kernel, tmp_path)).why
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "not installed" in asyncio.run(kvm.prove(kernel, kernel, tmp_path)).why


def test_a_verdict_outlives_a_wrong_path_and_a_user_without_rights(
    tmp_path: Path, kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    qemu_that(tmp_path, monkeypatch, "exit 0")
    verdict = Verdict(True, "a kernel booted under KVM", checks.this_machine())
    checks.write_verdict(tmp_path, verdict)
    with pytest.raises(InvalidInput, match=f"There is no file {tmp_path}/none to boot"):
        asyncio.run(kvm.prove(tmp_path / "none", kernel, tmp_path))
    monkeypatch.setattr(os, "access", lambda path, mode: path != checks.KVM)
    assert "this user may not use" in asyncio.run(kvm.prove(kernel, kernel, tmp_path)).why
    assert checks.read_verdict(tmp_path) == verdict


def test_why_guests_run_without_kvm_is_said_once_for_each_reason(tmp_path: Path) -> None:
    virt_type = checks.VirtType(tmp_path)
    with capture_logs() as said:
        assert [virt_type.choose("auto") for _ in range(3)] == ["qemu"] * 3
        checks.write_verdict(tmp_path, Verdict(False, "it hangs", checks.this_machine()))
        assert [virt_type.choose("auto") for _ in range(3)] == ["qemu"] * 3
    assert [line["why"] for line in said] == [
        f"it has not been tried here (kilonova prove-kvm --state-path {tmp_path} --kernel K --initrd I)",
        "it hangs",
    ]


def test_versions_are_written_as_people_do() -> None:
    assert checks.version_text(9_000_000) == "9.0.0"
    assert checks.version_text(7_002_022) == "7.2.22"
