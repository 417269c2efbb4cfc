# SPDX-License-Identifier: Apache-2.0
"""docs/first-day.md, typed as it stands there: its blocks in order, in two shells, against a real `kilonova up`.

A fence's words say how: `first-terminal` (the other shell), `serves` (goes on), `keys` (on a terminal, typed into),
`refused` (ends with an error), `any-status`, `not-run`.  A `text` block is the shape of what its predecessor printed.
"""

import contextlib
import os
import pty
import re
import signal
import subprocess
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab.cloud import free_port
from lab.common import CLIENT, TOP, environment
from lab.counting import cannot_run
from tests.live.box import private_libvirtd, wait_for

pytestmark = pytest.mark.live

DOCUMENT = TOP / "docs/first-day.md"
HOW = {"first-terminal", "serves", "keys", "refused", "any-status", "not-run"}
FENCED = re.compile(r"^```(sh|text)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = (
    (b"Ctrl-] disconnects", b"\x1d"),
    (b"Password for ann: ", b"correct horse\r"),
    (b"Repeat the password: ", b"correct horse\r"),
)
LIMIT_S = 150


@dataclass(slots=True)
class Block:
    """One `sh` block, and what the page shows as its answer."""

    text: str
    how: set[str]
    shown: list[str] = field(default_factory=list[str])


def blocks() -> list[Block]:
    found: list[Block] = []
    for kind, words, text in FENCED.findall(DOCUMENT.read_text(encoding="utf-8")):
        if kind == "sh":
            found.append(Block(text, set(words.split())))
            assert found[-1].how <= HOW, words
        else:
            assert not found[-1].shown, f"two answers to {found[-1].text}"
            found[-1].shown = text.splitlines()
    return found


def shape(line: str, home: str) -> re.Pattern[str]:
    """What a shown line stands for: ids, numbers, widths, the home and the machine's name may be others."""
    words = {
        r"[0-9a-f]{8}-[0-9a-f-]{27}": r"[0-9a-f-]{36}",
        r"/home/you": re.escape(home),
        r"myhost": r"\S+",
        r"[0-9]+(\.[0-9]+)*": r"[0-9.]+",
        r" +": r" +",
    }
    pattern = "|".join(f"(?P<w{n}>{one})" for n, one in enumerate(words))
    pieces: list[str] = []
    position = 0
    for match in re.finditer(pattern, line):
        chosen = next(value for n, value in enumerate(words.values()) if match[f"w{n}"] is not None)
        pieces += [re.escape(line[position : match.start()]), chosen]
        position = match.end()
    return re.compile("".join(pieces) + re.escape(line[position:]))


def as_shown(shown: Sequence[str], said: str, home: str) -> str:
    """What is missing of the shown lines, in their order; empty when nothing is.  A line `...` stands for any,
    and so does what it ends in for the rest of a line."""
    lines = iter(said.splitlines())
    for line in shown:
        if line != "..." and not any(shape(line.removesuffix(" ..."), home).search(one) for one in lines):
            return f"{line!r} is not where it should be in:\n{said}"
    return ""


class Shell:
    """One bash, as a terminal's: what a block exports, the next one has."""

    def __init__(self, directory: Path, name: str, home: Path) -> None:
        self.directory, self.name, self.count = directory, name, 0
        self.ours, theirs = pty.openpty()
        os.set_blocking(self.ours, False)
        changes = {name: None for name in os.environ if name.startswith("OS_")}
        self.process = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            env=environment({**changes, "HOME": str(home), "NO_PROXY": "127.0.0.1", "COLUMNS": "200"}),
            cwd=TOP,
            pass_fds=(theirs,),
            start_new_session=True,
        )
        self.theirs, self.said = theirs, b""

    def begin(self, block: Block) -> tuple[Path, Path]:
        """Have it run; where its output and its end are to be read."""
        self.count += 1
        script, out, end = (self.directory / f"{self.name}{self.count}.{kind}" for kind in ("sh", "out", "end"))
        script.write_text(block.text)
        out.touch()
        streams = f"<&{self.theirs} >&{self.theirs} 2>&1" if "keys" in block.how else f"</dev/null >{out} 2>&1"
        errors = "set +e" if block.how & {"refused", "any-status"} else "set -e"
        assert self.process.stdin is not None
        self.process.stdin.write(f"{errors}; . {script} {streams}; echo $? >{end}.new; mv {end}.new {end}\n".encode())
        self.process.stdin.flush()
        return out, end

    def run(self, block: Block) -> tuple[int, str]:
        """The exit status and what was said; a command that fails ends the shell, as `set -e` has it."""
        out, end = self.begin(block)
        typed = list(TYPED) if "keys" in block.how else []
        self.said = b""

        def ended() -> bool:
            self._read()
            for one in [one for one in typed if one[0] in self.said]:
                typed.remove(one)
                os.write(self.ours, one[1])
            return end.exists() or self.process.poll() is not None

        said = lambda: out.read_text(errors="replace") + self.said.decode(errors="replace").replace("\r", "")  # noqa: E731
        wait_for(ended, within_s=LIMIT_S, why=lambda: f"{block.text}\n{said()}")
        self._read()
        return int(end.read_text()) if end.exists() else self.process.wait(), said()

    def _read(self) -> None:
        try:
            self.said += os.read(self.ours, 65536)
        except BlockingIOError:
            return

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.killpg(self.process.pid, signal.SIGINT)

    def close(self) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=10)
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        for descriptor in (self.ours, self.theirs):
            os.close(descriptor)


@contextmanager
def shell(directory: Path, name: str, home: Path) -> Generator[Shell]:
    made = Shell(directory, name, home)
    try:
        yield made
    finally:
        made.close()


def check(block: Block, status: int, said: str, home: Path) -> None:
    assert (status != 0) is ("refused" in block.how) or "any-status" in block.how, f"{block.text}\n{said}"
    assert "Traceback" not in said, said
    assert not (missing := as_shown(block.shown, said, str(home))), f"{block.text}\n{missing}"


def serve(shell: Shell, block: Block, home: Path, uri: str) -> Path:
    """Where what the service says is to be read, once it is ready.  It gets the one libvirt that is this test's own."""
    with (home / "kilonova.conf").open("a") as config:
        config.write(f"[api]\nport = {free_port()}\n[libvirt]\nconnection_uri = {uri}\n")
    out, _ = shell.begin(block)
    wait_for(lambda: "\nready\n" in out.read_text(), why=out.read_text)
    assert not (missing := as_shown(block.shown, out.read_text(), str(home))), missing
    return out


def test_every_command_of_the_first_day(tmp_path: Path) -> None:
    if not (CLIENT / "bin/openstack").exists():
        cannot_run("the openstack client is not installed: make setup")
    with private_libvirtd() as daemon:
        home = daemon.directory.parent / "h"
        home.mkdir(mode=0o711)
        with shell(tmp_path, "first", home) as first, shell(tmp_path, "second", home) as second:
            service = tmp_path
            for block in blocks():
                if "serves" in block.how:
                    service = serve(first, block, home, daemon.uri)
                elif "not-run" not in block.how:
                    check(block, *(first if "first-terminal" in block.how else second).run(block), home)
            first.interrupt()
            wait_for(lambda: "stopped; guests keep running" in service.read_text(), why=service.read_text)
        assert daemon.guests() == {}


def test_what_is_shown_stands_for_its_like_and_for_nothing_else() -> None:
    """The comparison above can fail."""
    line = "| 3f5b2c5e-8b0a-4a53-a7c5-0b8f5d5f4e0c | first | ACTIVE | kilonova=10.0.2.16, 127.94.7.201 |"
    like = "| 00000000-1111-2222-3333-444444444444 | first | ACTIVE | kilonova=10.0.2.17, 127.1.2.3     |"
    assert as_shown([line], f"+---+\n{like}\n", "/h") == ""
    assert as_shown([line], like.replace("ACTIVE", "ERROR"), "/h")
    assert as_shown(["b", "...", "a"], "a\nb\n", "/h")
    assert as_shown(["27 checks: ..."], "28 checks: 1 error", "/h") == ""
    assert as_shown(["state  /home/you/k on myhost."], "state /h/k on box7.", "/h") == ""
    assert as_shown(["state /home/you/k"], "state /x/k", "/h")


def test_a_command_that_fails_in_the_middle_or_is_not_refused_is_noticed(tmp_path: Path) -> None:
    fails, accepted = Block("export a=1\nfalse\ntrue\n", set()), Block("echo $a\n", {"refused"})
    with shell(tmp_path, "s", tmp_path) as one:
        check(Block("export a=2\n", set()), *one.run(Block("export a=2\n", set())), tmp_path)
        with pytest.raises(AssertionError, match=r"echo \$a\s+2\s"):
            check(accepted, *one.run(accepted), tmp_path)
        with pytest.raises(AssertionError, match="export a=1"):
            check(fails, *one.run(fails), tmp_path)


def test_what_is_not_run_says_so() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert [block.text.split()[0] for block in blocks() if "not-run" in block.how] == ["sudo", "wget"]
    assert len(re.findall(r"\*\(Not run: ", text)) == 2
