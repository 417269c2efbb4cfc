# SPDX-License-Identifier: Apache-2.0
"""`python -m conformance [REGEX]`: Tempest's tests of the Compute, Identity and Image APIs against a box with
the fake driver.

Exit status 0 when every test passes that is not known to be left out (see left_out).  Takes about
five minutes.
"""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.box import Box, password_in
from bench.figures import CannotMeasure
from conformance.outcomes import AREA, outcomes, text
from lab.common import BUILD, TEMPEST, LabError, environment, run

LIMIT_S = 1800
LOG = BUILD / "tempest.log"

CONFIG = """\
[DEFAULT]
log_file = {scratch}/tempest-debug.log
[oslo_concurrency]
lock_path = {scratch}/lock
[auth]
use_dynamic_credentials = True
admin_username = admin
admin_password = {password}
admin_project_name = admin
admin_domain_name = Default
[identity]
uri_v3 = {url}/identity/v3
auth_version = v3
region = RegionOne
[identity-feature-enabled]
trust = False
access_rules = False
[image]
container_formats = bare
disk_formats = raw,qcow2
[image-feature-enabled]
import_image = False
manage_locations = False
image_format_enforcement = True
[compute]
image_ref = {image}
image_ref_alt = {other_image}
flavor_ref = 1
flavor_ref_alt = 2
min_microversion = 2.1
max_microversion = 2.90
build_interval = 1
build_timeout = 60
[compute-feature-enabled]
shelve = True
suspend = True
snapshot = True
rescue = True
console_output = True
config_drive = True
live_migration = False
vnc_console = False
attach_encrypted_volume = False
[service_available]
neutron = False
cinder = False
swift = False
glance = True
nova = True
[validation]
run_validation = False
"""
"""What the box is, in Tempest's words.

`vnc_console` is off: Tempest opens /websockify, or the `path` in the query of a noVNC proxy's URL, and not the
websocket of docs/consoles.md.
"""

QUOTA = """\
[quota]
instances = 100
cores = 100
ram = 200000
"""


def workspace(scratch: Path, box: Box) -> Path:
    """A directory that Tempest can be run in.  Raises LabError."""
    place = scratch / "tempest"
    run([TEMPEST / "bin/tempest", "init", place], timeout=60, env=_environment(scratch))
    (place / "etc/tempest.conf").write_text(
        CONFIG.format(
            scratch=scratch,
            url=box.url,
            password=password_in(box.clouds.read_text()),
            image=box.upload("one", bytes(1 << 20), "raw", visibility="public"),
            other_image=box.upload("other", bytes(1 << 20), "raw", visibility="public"),
        )
    )
    return place


def _environment(scratch: Path) -> dict[str, str]:
    # Its list of workspaces would lie in the home directory.
    return environment({"HOME": str(scratch), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "PYTHONPATH": None})


def lines_of(place: Path, pattern: str) -> Iterator[str]:
    """What a run prints, shown as it comes and kept in LOG."""
    argv = [str(TEMPEST / "bin/tempest"), "run", "--concurrency", "2", "--regex", pattern]
    with (
        LOG.open("w") as log,
        subprocess.Popen(
            ["timeout", str(LIMIT_S), *argv],
            cwd=place,
            env=_environment(place.parent),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            log.write(line)
            if line.startswith("{"):
                print(line.rstrip(), flush=True)
            yield line


def main(arguments: list[str]) -> int:
    """See the module."""
    with tempfile.TemporaryDirectory(prefix="kt", dir="/tmp") as name:
        scratch = Path(name)
        try:
            with Box(scratch / "box", config=QUOTA) as box:
                pattern = arguments[0] if arguments else AREA
                seen = outcomes(lines_of(workspace(scratch, box), pattern), whole=not arguments)
        except (LabError, CannotMeasure) as exc:
            print(exc, file=sys.stderr)
            return 1
    print(f"\n{text(seen)}\nThe whole log is {LOG}.")
    return 0 if seen.good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
