# SPDX-License-Identifier: Apache-2.0
"""`make fleet` as a test, with fewer guests and shorter outages: each engine and each kind of process is lost once."""

import io
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from lab.cloud import Client
from lab.common import CLIENT, LabError
from lab.counting import cannot_run
from lab.demo import end_everything
from lab.fleet.fleet import Fleet
from lab.fleet.story import Story
from lab.progress import Terminal

pytestmark = pytest.mark.live


def test_guests_live_through_the_loss_of_each_part() -> None:
    if os.geteuid() != 0:
        cannot_run("each libvirtd needs a host name of its own, which only root can give")
    if not (CLIENT / "bin/openstack").exists() or shutil.which("haproxy") is None:
        cannot_run("the openstack client or haproxy is not installed: make setup")
    printed = io.StringIO()
    directory = Path(tempfile.mkdtemp(prefix="kn-f-", dir="/tmp"))
    fleet = Fleet(directory)
    log = fleet.logs / "client.log"
    story = Story(fleet, Client(fleet.clouds, log), Terminal(printed), guests=3, outage_s=8.0, freeze_s=12.0)
    try:
        story.run()
        left = fleet.close()
    except LabError as error:
        logs = "\n".join(f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in fleet.logs.iterdir())
        pytest.fail(f"{error.sentence}\n{printed.getvalue()}\n{logs}")
    finally:
        fleet.close()
        ended = end_everything(directory)
    assert (left, ended) == ([], [])
