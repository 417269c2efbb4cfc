# SPDX-License-Identifier: Apache-2.0
"""The pieces that set-up makes under .build, what each is made from, and how it is made.

A piece has a stamp: the hash of its inputs, written when it is whole. No stamp, or another hash, means that it
is made again, so an interrupted run is simply run again.
"""

import hashlib
import json
import shutil
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import vendor
from lab.common import BUILD, CLIENT, COMPARED, GUEST, TEMPEST, TOP, VENV, LabError, environment, run
from lab.progress import Terminal, run_logged

TOOLS = BUILD / "tools"
STAMPS = BUILD / "stamps"
LOG = BUILD / "setup.log"
REQUIREMENTS = TOP / "requirements"


@dataclass(frozen=True)
class Work:
    """What making a piece needs: where to show progress, under which title, since when."""

    terminal: Terminal
    title: str
    started: float

    def run(self, argv: Sequence[str | Path], timeout: float, env: Mapping[str, str] | None = None) -> None:
        """Run one command of the piece, `timeout` in seconds; raises LabError."""
        run_logged(
            self.terminal,
            self.title,
            argv,
            log=LOG,
            timeout=timeout,
            env=env or build_environment(),
            cwd=TOP,
            started=self.started,
        )


@dataclass(frozen=True)
class Piece:
    """One thing to make.

    `usual` is about how many seconds it takes, `inputs` hashes what it is made from, `covered_by` is another
    piece in the same place that holds all of this one.
    """

    name: str
    title: str
    usual: int
    place: Path
    inputs: Callable[[], str]
    make: Callable[[Work], None]
    covered_by: "Piece | None" = None

    stamp_name: str | None = None

    @property
    def stamp(self) -> Path:
        """Where its stamp is; two pieces in one place share it, for only one of them can be there."""
        return STAMPS / (self.stamp_name or self.place.name)

    def missing(self) -> bool:
        """Whether it has to be made."""
        if not self.place.exists() or not self._interpreter_works():
            return True
        if self.covered_by is not None and not self.covered_by.missing():
            return False
        return _read(self.stamp) != self._stamp_text()

    def build(self, terminal: Terminal) -> None:
        """Make it, and stamp it when it is whole. Raises LabError."""
        started = terminal.begin(self.title)
        self.stamp.unlink(missing_ok=True)
        try:
            self.make(Work(terminal, self.title, started))
        except BaseException:
            terminal.failed(self.title, started)
            raise
        STAMPS.mkdir(parents=True, exist_ok=True)
        _ = self.stamp.write_text(self._stamp_text())
        terminal.end(self.title, started)

    def _stamp_text(self) -> str:
        return f"{self.name} {self.inputs()}\n"

    def _interpreter_works(self) -> bool:
        # An upgrade of the distribution can take away the interpreter that an environment points to.
        binaries = self.place / "bin"
        return not binaries.exists() or (binaries / "python").exists()


# -- inputs --------------------------------------------------------------------------------------------


def digest(*files: Path) -> str:
    """Hash of files and of the interpreter and the place: environments are neither portable nor movable."""
    result = hashlib.sha256(f"{sys.version}\0{sys.base_prefix}\0{TOP}".encode())
    for file in files:
        result.update(f"\0{file.name}\0".encode())
        result.update(file.read_bytes() if file.exists() else b"")
    return result.hexdigest()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _project_inputs() -> str:
    # Only what the installation reads: the file also holds settings of tools, which change often.
    try:
        table = tomllib.loads((TOP / "pyproject.toml").read_text())
    except OSError:
        return "no project"
    parts = [table.get("build-system"), table.get("project"), table.get("tool", {}).get("hatch")]
    environment_stamp = _read(STAMPS / VENV.name)
    return hashlib.sha256(json.dumps([parts, environment_stamp], sort_keys=True).encode()).hexdigest()


def _guest_inputs() -> str:
    # Not the interpreter: the image does not depend on it, and it is slow to make.
    result = hashlib.sha256()
    lab = TOP / "lab"
    for file in (lab / "guest_image.py", lab / "initrd.py", *sorted((lab / "guest").iterdir())):
        result.update(file.read_bytes())
    return result.hexdigest()


# -- making --------------------------------------------------------------------------------------------


def build_environment() -> dict[str, str]:
    """The environment for installers: no virtual environment of the caller's, certificates of the system."""
    changes: dict[str, str | None] = {
        "VIRTUAL_ENV": None,
        "PYTHONPATH": None,
        "PYTHONHOME": None,
        # Byte code is half of the speed of everything that is installed here.
        "PYTHONDONTWRITEBYTECODE": None,
        "UV_SYSTEM_CERTS": "true",
        "UV_NO_PROGRESS": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
    }
    env = environment(changes)
    if "HOME" not in env:
        env["UV_CACHE_DIR"] = str(BUILD / "cache")
    return env


def _make_tools(work: Work) -> None:
    _new_environment(work, TOOLS, with_pip=True)
    env = build_environment()
    _use_settings_of_pip(env)
    pip = [TOOLS / "bin/python", "-m", "pip", "install", "--quiet", "--require-hashes"]
    work.run([*pip, "-r", REQUIREMENTS / "tools.txt"], timeout=600, env=env)


def _new_environment(work: Work, place: Path, *, with_pip: bool = False) -> None:
    shutil.rmtree(place, ignore_errors=True)
    extra = [] if with_pip else ["--without-pip"]
    work.run([sys.executable, "-m", "venv", *extra, place], timeout=180)


def _install(work: Work, place: Path, requirements: Sequence[str]) -> None:
    """Make an environment with exactly these requirements: by uv, and by pip where uv finds no way out.

    pip has been configured for a site's own proxy or mirror on machines where nobody has heard of uv.
    """
    python = place / "bin/python"
    files = [word for name in requirements for word in ("-r", str(REQUIREMENTS / name))]
    env = build_environment()
    _use_settings_of_pip(env)
    _new_environment(work, place)
    common = ["--require-hashes", *files]
    try:
        uv = [TOOLS / "bin/uv", "pip", "install", "--python", python]
        work.run([*uv, "--compile-bytecode", *common], timeout=1200, env=env)
    except LabError:
        _new_environment(work, place)
        pip = [TOOLS / "bin/python", "-m", "pip", "--python", str(python), "install", "--quiet"]
        work.run([*pip, "--compile", *common], timeout=1800, env=env)


def _use_settings_of_pip(env: dict[str, str]) -> None:
    """One set of certificates and one index for both installers, unless they have been told otherwise.

    uv does not read pip's configuration, and pip does not look at the system's certificates, among which a
    site's own authority is found.
    """
    try:
        said = run([TOOLS / "bin/python", "-m", "pip", "config", "list"], timeout=30, env=env).decode()
    except LabError:
        said = ""
    settings = {
        name.rpartition(".")[2]: value.strip("'\"")
        for name, separator, value in (line.partition("=") for line in said.splitlines())
        if separator
    }
    system = Path(env.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    if "cert" not in settings and "REQUESTS_CA_BUNDLE" not in env and system.is_file():
        env["PIP_CERT"] = str(system)
    told = ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_CONFIG_FILE")
    if "index-url" in settings and not any(name in env for name in told):
        env["UV_DEFAULT_INDEX"] = settings["index-url"]


def _install_project(work: Work) -> None:
    if not (TOP / "pyproject.toml").exists():
        return
    python = VENV / "bin/python"
    words = ["pip", "install", "--python", python, "--no-build-isolation", "--no-deps", "--offline"]
    work.run([TOOLS / "bin/uv", *words, "--reinstall", "--editable", TOP], timeout=300)


def _make_runtime(work: Work) -> None:
    _install(work, VENV, ["base.txt", "build.txt"])


def _make_development(work: Work) -> None:
    _install(work, VENV, ["dev.txt"])


def _make_client(work: Work) -> None:
    _install(work, CLIENT, ["client.txt"])


def _make_compared(work: Work) -> None:
    _install(work, COMPARED, ["bench.txt"])


def _make_tempest(work: Work) -> None:
    _install(work, TEMPEST, ["tempest.txt"])


def _make_web(work: Work) -> None:
    vendor.fetch(lambda words: work.run(words, timeout=vendor.DOWNLOAD_S))


def _make_guest(work: Work) -> None:
    work.run([sys.executable, "-m", "lab.guest_image"], timeout=1200)


TOOLS_PIECE = Piece("tools", "Installer", 10, TOOLS, lambda: digest(REQUIREMENTS / "tools.txt"), _make_tools)
DEVELOPMENT = Piece(
    "development",
    "Python environment with tests and checks",
    40,
    VENV,
    lambda: digest(REQUIREMENTS / "dev.txt"),
    _make_development,
)
RUNTIME = Piece(
    "runtime",
    "Python environment",
    30,
    VENV,
    lambda: digest(REQUIREMENTS / "base.txt", REQUIREMENTS / "build.txt"),
    _make_runtime,
    covered_by=DEVELOPMENT,
)
PROJECT = Piece("project", "Kilonova itself", 2, VENV, _project_inputs, _install_project, stamp_name="project")
CLIENT_PIECE = Piece(
    "client", "OpenStack client", 20, CLIENT, lambda: digest(REQUIREMENTS / "client.txt"), _make_client
)
COMPARED_PIECE = Piece(
    "compared", "What benchmarks compare with", 5, COMPARED, lambda: digest(REQUIREMENTS / "bench.txt"), _make_compared
)
TEMPEST_PIECE = Piece(
    "tempest", "OpenStack's integration tests", 25, TEMPEST, lambda: digest(REQUIREMENTS / "tempest.txt"), _make_tempest
)
GUEST_PIECE = Piece("guest", "Bootable guest image", 15, GUEST, _guest_inputs, _make_guest)
WEB_PIECE = Piece(
    "web",
    "Type checker of the web page",
    5,
    vendor.WEB,
    lambda: digest(vendor.MANIFEST, REQUIREMENTS / "dev.txt"),
    _make_web,
)

PROFILES: Mapping[str, Sequence[Piece]] = {
    "demo": (TOOLS_PIECE, RUNTIME, PROJECT, CLIENT_PIECE, GUEST_PIECE),
    "test": (TOOLS_PIECE, DEVELOPMENT, PROJECT, CLIENT_PIECE, GUEST_PIECE, WEB_PIECE),
    "check": (TOOLS_PIECE, DEVELOPMENT, PROJECT, WEB_PIECE),
    "conformance": (TOOLS_PIECE, DEVELOPMENT, PROJECT, TEMPEST_PIECE),
    "bench": (TOOLS_PIECE, DEVELOPMENT, PROJECT, CLIENT_PIECE, GUEST_PIECE, COMPARED_PIECE),
}
