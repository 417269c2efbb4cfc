# SPDX-License-Identifier: Apache-2.0
"""The end of a process: console scripts end here, and not in the interpreter's finalization."""

import contextlib
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec

P = ParamSpec("P")

FAILED = 1


def program(main: Callable[P, None]) -> Callable[P, NoReturn]:
    """Make `main` the whole life of its process: the call does not return.

    The exit status is that of the SystemExit of `main`, 1 after another exception (its traceback is printed), and 0
    otherwise.  Both standard streams are flushed; a command whose output cannot be written fails.

    The interpreter is not finalized.  Worker threads and libvirt's event loop are daemon threads that may be in a
    native call for ever (see kilonova.base.threads).  A daemon thread that still runs while CPython finalizes can abort
    the process (measured: 1 of 60 hosts that were refused at their start, on a busy machine, ended with SIGABRT and
    "FATAL: exception not rethrown") or block it.  Exit handlers (`atexit`) do not run: nothing here needs them.
    """

    @wraps(main)
    def whole_life(*args: P.args, **kwargs: P.kwargs) -> NoReturn:
        try:
            main(*args, **kwargs)
            status = 0
        except SystemExit as exc:
            status = _status_of(exc)
        except BaseException as exc:
            sys.excepthook(type(exc), exc, exc.__traceback__)
            status = FAILED
        os._exit(_flushed(status))

    return whole_life


def _status_of(end: SystemExit) -> int:
    if end.code is None:
        return 0
    if isinstance(end.code, int):
        return end.code & 0xFF
    sys.stderr.write(f"{end.code}\n")
    return FAILED


def _flushed(status: int) -> int:
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as exc:  # ValueError: the stream is closed
        status = status or FAILED
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"The output could not be written: {exc}\n")
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    return status
