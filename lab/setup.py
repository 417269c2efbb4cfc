# SPDX-License-Identifier: Apache-2.0
"""Makes what a profile needs and does not have yet: `python3 -m lab.setup demo|test|check|bench|conformance`.

When everything is there it says nothing and takes a tenth of a second.
"""

import contextlib
import fcntl
import signal
import sys
import time
from collections.abc import Generator, Sequence

from lab.common import BUILD, LabError
from lab.pieces import LOG, PROFILES, Piece
from lab.progress import Terminal, last_lines


def set_up(profile: str, terminal: Terminal) -> None:
    """Make the missing pieces of a profile, one after the other. Raises LabError."""
    if not any(piece.missing() for piece in PROFILES[profile]):
        return
    with _alone(terminal):
        # Looked at again: another run may have made them while this one waited.
        missing = [piece for piece in PROFILES[profile] if piece.missing()]
        if missing:
            _announce(terminal, missing)
        for piece in PROFILES[profile]:
            # Asked one by one: making a piece can make a later one out of date.
            if piece.missing():
                piece.build(terminal)


def _announce(terminal: Terminal, missing: Sequence[Piece]) -> None:
    names = ", ".join(piece.title for piece in missing)
    seconds = sum(piece.usual for piece in missing)
    terminal.line(f"Setting up: {names} (about {seconds} s, once; log in {LOG}).")
    with LOG.open("a") as log:
        _ = log.write(f"\n== {time.strftime('%Y-%m-%d %H:%M:%S')} {names}\n")


@contextlib.contextmanager
def _alone(terminal: Terminal) -> Generator[None]:
    """Hold the build directory: two set-ups at once would take the ground from under each other."""
    try:
        BUILD.mkdir(exist_ok=True)
        lock = (BUILD / "setup.lock").open("w")
    except OSError as error:
        raise LabError(f"The directory {BUILD} cannot be written: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            terminal.line("Waiting for another set-up of this clone.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 done, 1 something is wrong (said on stderr), 2 used wrongly, 130 interrupted."""
    if len(arguments) != 1 or arguments[0] not in PROFILES:
        print(f"usage: python3 -m lab.setup {'|'.join(PROFILES)}", file=sys.stderr)
        return 2
    _ = signal.signal(signal.SIGTERM, signal.default_int_handler)
    terminal = Terminal(sys.stdout)
    try:
        set_up(arguments[0], terminal)
    except LabError as error:
        terminal.clear()
        print(last_lines(LOG), file=sys.stderr)
        print(f"{error.sentence}\nThe whole log is {LOG}.", file=sys.stderr)
        if "Cure:" not in error.sentence:
            print(f"Cure: {error.cure or f'rm -rf {BUILD} && make {arguments[0]}'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        terminal.line("Interrupted; the same command goes on from here.")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
