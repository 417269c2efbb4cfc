# SPDX-License-Identifier: Apache-2.0
"""The proof that KVM works here: a real kernel boots in it and prints its marker. An open of /dev/kvm proves nothing:
on some nested machines firmware runs under KVM and a kernel hangs in it.
"""

import asyncio
import contextlib
import os
from pathlib import Path

from kilonova.base.errors import InvalidInput
from kilonova.virt.libvirt.host import checks
from kilonova.virt.libvirt.host.checks import Machine, Verdict

BOOTED = b"KILONOVA-KERNEL-BOOTED"
LINE_LIMIT = 1 << 16
END_S = 1.0
"""How long a QEMU may take to end by itself after its kernel printed the marker, or after the time limit."""


async def prove(kernel: Path, initrd: Path, state_path: Path, limit_s: float = 20.0) -> Verdict:
    """Boot `kernel` with `initrd` under KVM and wait for its marker, for at most `limit_s` seconds. The verdict is
    written to `state_path`, and is valid until the next boot, another QEMU, or other rights on /dev/kvm. A verdict
    about this user, and not about KVM, is returned and not kept. The QEMU that was started has ended afterwards. Raises
    OSError when the verdict cannot be written, InvalidInput, with an earlier verdict kept, for missing files.
    """
    if missing := next((path for path in (kernel, initrd) if not path.is_file()), None):
        raise InvalidInput(f"There is no file {missing} to boot.")
    machine = checks.this_machine()
    program = checks.qemu_program()
    if program is None:
        verdict = Verdict(False, "qemu-system-x86_64 is not installed", machine)
    elif not machine.kvm:
        verdict = Verdict(False, "there is no /dev/kvm", machine)
    elif not os.access(checks.KVM, os.R_OK | os.W_OK):
        return Verdict(False, f"this user may not use {checks.KVM}: nothing was tried", machine)
    else:
        verdict = await _boot(program, kernel, initrd, machine, limit_s)
    checks.write_verdict(state_path, verdict)
    return verdict


async def _boot(program: str, kernel: Path, initrd: Path, machine: Machine, limit_s: float) -> Verdict:
    argv = [program, "-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "256", "-nodefaults", "-no-user-config"]
    argv += ["-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", str(kernel), "-initrd", str(initrd)]
    argv += ["-append", "console=ttyS0 kilonova.probe"]
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=LINE_LIMIT,
    )
    assert process.stdout is not None
    last = b""
    try:
        async with asyncio.timeout(limit_s):
            while chunk := await process.stdout.read(4096):
                # The end of the output: long enough for a marker that two reads divide, and to show what was seen last.
                last = (last + chunk)[-4096:]
                if BOOTED in last:
                    return Verdict(True, "a kernel booted under KVM", machine)
    except TimeoutError:
        return Verdict(False, f"a kernel did not boot under KVM within {limit_s:g} s{_said(last)}", machine)
    finally:
        await asyncio.shield(_end(process))
    return Verdict(False, f"QEMU ended without booting a kernel{_said(last)}", machine)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Wait for the process, kill it when it does not end by itself, and drain its pipe. An ended process must not be
    sent a signal: the check before the signal would take its exit status away from asyncio's own watcher.
    """
    try:
        async with asyncio.timeout(END_S):
            await process.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def _said(output: bytes) -> str:
    lines = output.decode(errors="replace").strip().splitlines()
    return f"; the last line was: {lines[-1].strip()[:200]}" if lines else ""
