# SPDX-License-Identifier: Apache-2.0
"""A program that drops its privileges and executes a tool: `python -I -S confine.py [--read FILE] [--write FILE] --
TOOL ARGUMENT...`

A guest may have written the input of a tool in order to exploit a defect of the tool.  So the tool can only access the
given files and the programs and libraries of the system.  It cannot create sockets, trace processes, or gain
privileges by an exec, and runs as nobody when we are root.  It then keeps the capability to open files of other
owners, which the ruleset limits.  Sources: Linux, Documentation/userspace-api/landlock.rst, seccomp_filter.rst,
capabilities(7).

A mechanism that the kernel does not have is left out; the tool's arguments still give every file.  The module imports
nothing of Kilonova, because it starts with each tool.
"""

import ctypes
import os
import platform
import shutil
import struct
import sys
from collections.abc import Sequence

SYSTEM = (
    "/usr",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/opt",
    "/etc/ld.so.cache",
    "/nix/store",
    "/gnu/store",
    "/dev/null",
)
NOBODY = 65534
CAP_DAC_OVERRIDE = 1
NOT_FOUND, NOT_CONFINED = 127, 126

_LIBC = ctypes.CDLL(None, use_errno=True)

# landlock.h
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 14
_FILESYSTEM_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""The access rights of each version; a version that is not here has those of the previous one."""
_NET_SINCE, _TCP = 4, 0b11
_SCOPES_SINCE, _SCOPES = 6, 0b11

# prctl.h, seccomp.h, audit.h
_SET_KEEPCAPS, _SET_SECCOMP, _SET_NO_NEW_PRIVS, _CAP_AMBIENT = 8, 22, 38, 47
_AMBIENT_RAISE, _MODE_FILTER = 2, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | 1  # with EPERM
_CALLS = {
    # machine: its number, and those of socket, socketpair, ptrace, bpf, io_uring_setup, keyctl
    "x86_64": (0xC000003E, (41, 53, 101, 321, 425, 250)),
    "aarch64": (0xC00000B7, (198, 199, 117, 280, 425, 219)),
}


def _call(number: int, *words: object) -> int:
    return int(_LIBC.syscall(number, *words))


def _restrict_files(program: str, reads: Sequence[str], writes: Sequence[str]) -> int | None:
    """The ruleset.  It is applied later, after this program has opened its files.  None without Landlock."""
    version = _call(_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return None
    rights = _FILESYSTEM_RIGHTS[max(known for known in _FILESYSTEM_RIGHTS if known <= version)]
    words = [rights]
    words += [_TCP] if version >= _NET_SINCE else []
    words += [_SCOPES] if version >= _SCOPES_SINCE else []
    attributes = struct.pack(f"={len(words)}Q", *words)
    ruleset = _call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        return None
    for path in (*SYSTEM, program):
        _allow(ruleset, path, rights & (_EXECUTE | _READ_FILE | _READ_DIR), follow=True)
    for path in reads:
        _allow(ruleset, path, _READ_FILE)
    for path in writes:
        _allow(ruleset, path, rights & (_READ_FILE | _WRITE_FILE | _TRUNCATE))
    return ruleset


def _allow(ruleset: int, path: str, rights: int, *, follow: bool = False) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    except OSError:
        return  # the tool reports it
    if not os.path.isdir(path):
        rights &= ~_READ_DIR
    rule = struct.pack("=Qi", rights, handle)
    if _call(_ADD_RULE, ruleset, 1, rule, 0) < 0:
        raise OSError(ctypes.get_errno(), f"no rule for {path}")
    os.close(handle)


def _become_nobody() -> None:
    """Drop all capabilities of root except one, which the ruleset limits."""
    _LIBC.prctl(_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    kept = 1 << CAP_DAC_OVERRIDE
    header, data = struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", kept, kept, kept, 0, 0, 0)
    if _LIBC.capset(header, data) < 0:
        raise OSError(ctypes.get_errno(), "capset")
    _LIBC.prctl(_CAP_AMBIENT, _AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def _refuse_calls() -> None:
    """Forbid sockets and other ways to reach other processes."""
    known = _CALLS.get(platform.machine())
    if known is None:
        return
    machine, numbers = known
    load, jump_equal, jump_above, give = 0x20, 0x15, 0x35, 0x06
    filters = [(load, 0, 0, 4), (jump_equal, 1, 0, machine), (give, 0, 0, _REFUSE), (load, 0, 0, 0)]
    for at, number in enumerate(numbers):
        filters.append((jump_equal, len(numbers) - at + 1, 0, number))
    filters += [(jump_above, 1, 0, 0x40000000), (give, 0, 0, _ALLOW), (give, 0, 0, _REFUSE)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in filters))
    program = struct.pack("@HxxxxxxP", len(filters), ctypes.addressof(code))
    _LIBC.prctl(_SET_SECCOMP, _MODE_FILTER, program, 0, 0)


def main(arguments: Sequence[str]) -> int:
    """Does not return when the tool runs."""
    at = arguments.index("--")
    pairs, tool = list(zip(arguments[:at:2], arguments[1:at:2], strict=True)), list(arguments[at + 1 :])
    named = {option: [path for one, path in pairs if one == option] for option in ("--read", "--write")}
    program = shutil.which(tool[0])
    if program is None:
        sys.stderr.write(f"{tool[0]} is not installed\n")
        return NOT_FOUND
    try:
        _LIBC.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        ruleset = _restrict_files(program, named["--read"], named["--write"])
        if os.geteuid() == 0:
            _become_nobody()
        if ruleset is not None and _call(_RESTRICT_SELF, ruleset, 0) < 0:
            raise OSError(ctypes.get_errno(), "landlock")
        _refuse_calls()
        os.execv(program, tool)
    except OSError as exc:
        sys.stderr.write(f"it cannot be confined: {exc}\n")
    return NOT_CONFINED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
