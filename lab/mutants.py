# SPDX-License-Identifier: Apache-2.0
"""Mechanisms taken away in turn: for each there is a test that must turn red (`make mutants`).

Each mutant is a small edit of a copy of src: a test that stays green without its mechanism does not show it.  An anchor
that is not found, or a test that does not exist, is a failure, too.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from lab import simulation_score
from lab.common import TOP, VENV, environment
from lab.mutant import AnchorLost, Edit, Mutant, changed, one
from lab.mutants_of_actions import MUTANTS_OF_ACTIONS
from lab.mutants_of_api_processes import MUTANTS_OF_API_PROCESSES
from lab.mutants_of_cancel import MUTANTS_OF_CANCEL
from lab.mutants_of_conductors import MUTANTS_OF_CONDUCTORS
from lab.mutants_of_consoles import MUTANTS_OF_CONSOLES
from lab.mutants_of_crashes import MUTANTS_OF_CRASHES
from lab.mutants_of_disks import MUTANTS_OF_DISKS
from lab.mutants_of_edge import MUTANTS_OF_EDGE
from lab.mutants_of_frozen_guests import MUTANTS_OF_FROZEN_GUESTS
from lab.mutants_of_gone import MUTANTS_OF_GONE
from lab.mutants_of_hosts import MUTANTS_OF_HOSTS
from lab.mutants_of_images import MUTANTS_OF_IMAGES
from lab.mutants_of_legs import MUTANTS_OF_LEGS
from lab.mutants_of_operators import MUTANTS_OF_OPERATORS
from lab.mutants_of_page import MUTANTS_OF_PAGE
from lab.mutants_of_placement import MUTANTS_OF_PLACEMENT
from lab.mutants_of_postgres import MUTANTS_OF_POSTGRES
from lab.mutants_of_power import MUTANTS_OF_POWER
from lab.mutants_of_purge import MUTANTS_OF_PURGE
from lab.mutants_of_reads import MUTANTS_OF_READS
from lab.mutants_of_record import MUTANTS_OF_RECORD
from lab.mutants_of_scale import MUTANTS_OF_SCALE
from lab.mutants_of_troubles import MUTANTS_OF_TROUBLES
from lab.mutants_of_trust import MUTANTS_OF_TRUST
from lab.mutants_of_ui import MUTANTS_OF_UI
from lab.mutants_of_verify import MUTANTS_OF_VERIFY
from lab.mutants_of_versions import MUTANTS_OF_VERSIONS
from lab.mutants_of_walls import MUTANTS_OF_WALLS

LIMIT_S = 180


POOL = "virt/libvirt/connection/pool.py"
FREEZE = "tests/unit/virt/test_connection.py::test_a_frozen_daemon_delays_nobody_for_longer_than_keepalive"
ACTIONS = "tests/unit/conductor/test_actions.py"

MUTANTS: Sequence[Mutant] = (
    *MUTANTS_OF_ACTIONS,
    *MUTANTS_OF_API_PROCESSES,
    *MUTANTS_OF_CRASHES,
    *MUTANTS_OF_DISKS,
    *MUTANTS_OF_EDGE,
    *MUTANTS_OF_CONDUCTORS,
    *MUTANTS_OF_CONSOLES,
    *MUTANTS_OF_FROZEN_GUESTS,
    *MUTANTS_OF_GONE,
    *MUTANTS_OF_HOSTS,
    *MUTANTS_OF_IMAGES,
    *MUTANTS_OF_CANCEL,
    *MUTANTS_OF_LEGS,
    *MUTANTS_OF_VERIFY,
    *MUTANTS_OF_VERSIONS,
    *MUTANTS_OF_POSTGRES,
    *MUTANTS_OF_POWER,
    *MUTANTS_OF_OPERATORS,
    *MUTANTS_OF_PAGE,
    *MUTANTS_OF_PLACEMENT,
    *MUTANTS_OF_PURGE,
    *MUTANTS_OF_READS,
    *MUTANTS_OF_RECORD,
    *MUTANTS_OF_SCALE,
    *MUTANTS_OF_TROUBLES,
    *MUTANTS_OF_TRUST,
    *MUTANTS_OF_UI,
    *MUTANTS_OF_WALLS,
    one(
        "keepalive",
        FREEZE,
        "virt/libvirt/connection/opening.py",
        "if options.keepalive_interval_s > 0:",
        "if options.keepalive_interval_s > 1e9:",
    ),
    one(
        "the host pool",
        "tests/unit/virt/test_host_pool.py",
        "virt/libvirt/connection/hypervisor_connection.py",
        'self.control = ConnectionPool("control", settings.libvirt.max_client_requests - 1, self._context)',
        "self.control = self.host",
    ),
    Mutant(
        "the single open",
        FREEZE,
        (
            Edit(POOL, 'pools.pool(f"{name}-open", 1)', 'pools.pool(f"{name}-open", 8)'),
            Edit(POOL, "if self._opener.abandoned:", "if self._opener.abandoned > 99:"),
        ),
    ),
    Mutant(
        "the level-triggered disable",
        "tests/simulation/test_outages.py",
        (
            Edit("compute/reports.py", "if self._reported_enabled != self._level():", "if self._level() is None:"),
            Edit(
                "compute/reports.py",
                "            await self._clock.sleep(RETRY_S)\n            self._changed.set()",
                "            await self._clock.sleep(RETRY_S)",
            ),
        ),
    ),
    one(
        "in-doubt calls",
        "tests/unit/virt/test_in_doubt.py::test_a_delete_waits_for_the_define_that_was_cut_off",
        "virt/libvirt/connection/in_doubt.py",
        "while (since_s := self._in_doubt_since_s.get(about, 0.0 if self.unclean_start else None)) is not None:",
        "while (since_s := self._in_doubt_since_s.get(None)) is not None:",
    ),
    one(
        "the bulk read on reconnection",
        "tests/live/test_events.py::test_what_was_missed_while_libvirt_was_away_is_found",
        "compute/reports.py",
        "            await self._observer.sync()\n",
        "",
    ),
    one(
        "ownership of domains",
        "tests/contract/test_driver.py::test_foreign_domains_are_neither_listed_nor_touched",
        "virt/libvirt/domain/guest.py",
        "if text is None or domain_xml.metadata_instance_id(text) != domain.UUIDString():",
        "if text is not None and domain_xml.metadata_instance_id(text) != domain.UUIDString():",
    ),
    one(
        "fencing by attempt",
        f"{ACTIONS}::test_an_outcome_of_an_older_attempt_is_refused",
        "conductor/attempts.py",
        "or leg.attempt != message.attempt:",
        ":",
    ),
    one(
        "a delete supersedes",
        f"{ACTIONS}::test_a_delete_supersedes_what_is_open_and_its_outcome_is_no_longer_taken",
        "conductor/engine/accept.py",
        "for superseded in open_actions:",
        "for superseded in open_actions[:0]:",
    ),
    one(
        "isolation in a shared commit",
        "tests/unit/db/test_engine.py::test_writes_that_share_a_commit_succeed_and_fail_alone",
        "db/sqlite.py",
        '_control(connection, "ROLLBACK TO one")',
        "pass",
    ),
    one(
        "the failure of a write without others",
        "tests/contract/test_database.py::test_an_exception_of_the_function_rolls_its_transaction_back",
        "db/sqlite.py",
        '"ROLLBACK" if alone and batch[0].error is not None else "COMMIT"',
        '"COMMIT"',
    ),
    one(
        "the reboot's start token",
        "tests/unit/compute/test_operations.py::test_a_reboot_happens_once_however_often_it_is_replayed",
        "compute/operations/reboot.py",
        "return job.has_started(await job.tools.driver.guest_state(job.instance.id), on_any_boot=True)",
        "return False",
    ),
    one(
        "the image's checksum",
        "tests/unit/compute/test_image_cache.py::test_wrong_bytes_are_refused_and_not_kept",
        "compute/image_cache.py",
        "return digest.hexdigest() == image.sha512",
        "return bool(digest.hexdigest())",
    ),
    one(
        "a host's requests are pinned",
        "tests/unit/rpcapi/test_method.py::test_a_host_speaks_for_itself_only",
        "conductor/host_endpoint.py",
        "if token(request.host) != peer:",
        "if not peer:",
    ),
    one(
        "the conditional claim",
        "tests/unit/conductor/test_build.py::test_claims_hold_without_the_filters",
        "db/writers/hosts.py",
        'return sa.or_(more <= 0, node[f"{name}_used"] + more <= node[f"{name}_capacity"])',
        "return sa.true()",
    ),
    one(
        "an address is given once",
        "tests/unit/conductor/test_declared_networks.py::test_an_address_that_another_transaction_took_is_passed_over",
        "db/writers/instances.py",
        "values, execution_options=_COUNTED).rowcount == 1",
        "values, execution_options=_COUNTED).rowcount != -7",
    ),
    one(
        "what a guest does is an action",
        "tests/unit/conductor/test_hosts.py::test_each_observed_change_is_an_action_with_the_hypervisors_reason",
        "conductor/hosts/guests.py",
        "        power_update.record(tx, after, seen, action_id, now)\n",
        "        pass\n",
    ),
    one(
        "the start token after the guest",
        "tests/unit/virt/test_in_doubt.py::test_a_start_that_was_cut_off_in_the_middle_is_done_by_the_next",
        "virt/libvirt/domain/lifecycle.py",
        "    if _create_paused(domain):\n",
        "    if not domain and _create_paused(domain):\n",
    ),
    one(
        "the liveness probe",
        "tests/contract/test_driver.py::test_a_frozen_guest_does_not_respond_until_it_answers_or_its_plug_is_pulled",
        "virt/libvirt/domain/guests.py",
        "return {instance_id: self._liveness.apply(instance_id, state) for instance_id, state in read.states.items()}",
        "return dict(read.states)",
    ),
    one(
        "calls left by a dead process",
        "tests/unit/virt/test_in_doubt.py::test_a_start_that_a_dead_process_left_in_a_frozen_daemon_is_waited_for",
        "virt/libvirt/connection/unclean_shutdown.py",
        "found = self._path.exists()",
        "found = False",
    ),
    one(
        "reads end before their file",
        "tests/unit/db/test_engine.py::test_closing_waits_for_reads_that_nobody_waits_for_any_more",
        "db/sqlite.py",
        "                await self._reader.drain()\n",
        "",
    ),
    one(
        "what a resize holds",
        "tests/unit/conductor/test_resize.py",
        "db/writers/hosts.py",
        "(instance.flavor, instance.old_flavor, instance.new_flavor) if one is not None",
        "(instance.flavor, instance.old_flavor) if one is not None",
    ),
    one(
        "the start token of a resize undone",
        "tests/unit/compute/test_resize.py",
        "compute/operations/resize.py",
        'ActionId(f"{job.action.id}-undone")',
        "job.action.id",
    ),
    one(
        "the name of a kept disk",
        "tests/contract/test_resizing.py",
        "virt/libvirt/disks/kept_disks.py",
        'f"{KEPT}{tag}"',
        'f"{KEPT}x"',
    ),
    one(
        "a resized server that waits on",
        "tests/unit/conductor/test_resize.py",
        "conductor/verbs/power.py",
        "_BETWEEN = (VmState.RESCUED, VmState.RESIZED)",
        "_BETWEEN = (VmState.RESCUED,)",
    ),
    one(
        "quota given back",
        "tests/unit/conductor/test_quota.py::test_a_delete_gives_back_at_its_end_and_once",
        "conductor/verbs/delete.py",
        "    quota.give_back(tx, instance.project_id, usage_of(instance))\n",
        "",
    ),
    one(
        "quota taken by a conditional update",
        "tests/service/test_api_quotas.py::test_of_many_creates_at_once_exactly_the_quota_is_admitted",
        "db/writers/quotas.py",
        "_TAKE = _MOVE.where(*(_fits(name) for name in _COUNTED))",
        "_TAKE = _MOVE",
    ),
    one(
        "the group of a build",
        "tests/unit/conductor/test_server_groups.py::test_builds_that_were_accepted_at_once_are_apart_too",
        "conductor/placement/place.py",
        "server_groups.constraint(tx, instance)",
        "None",
    ),
    one(
        "work in pieces",
        "tests/simulation/test_slow_work.py::test_work_that_is_too_much_for_one_message_comes_in_several",
        "conductor/engine/hand_out.py",
        "fitting(readable, itemgetter(1), reply_bytes(max_payload))",
        "readable",
    ),
    one(
        "a turn given back",
        "tests/simulation/test_slow_work.py::test_starts_whose_calls_never_come_back_keep_no_other_guest_from_starting",
        "compute/runner.py",
        "            run.give_turn()  # the call of one guest may never return\n",
        "",
    ),
)


def run(mutant: Mutant, scratch: Path) -> tuple[bool, str]:
    """Whether the test turned red, and what happened in a few words."""
    copy = scratch / "src"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(TOP / "src", copy, ignore=shutil.ignore_patterns("__pycache__"))
    try:
        for file, text in changed(mutant.edits, copy / "kilonova").items():
            (copy / "kilonova" / file).write_text(text)
    except AnchorLost as exc:
        return False, f"mechanism not present: {exc}"
    if not (TOP / mutant.test.partition("::")[0]).exists():
        return False, "the test is not there"
    path = f"{VENV / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}:/usr/sbin:/sbin"
    argv = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "lab.counting", mutant.test]
    with subprocess.Popen(
        argv,
        cwd=TOP,
        env=environment({"PYTHONPATH": str(copy), "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            said, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # pytest takes its fixtures down
            process.communicate()
            return True, f"killed: not done within {LIMIT_S} s"
    if process.returncode == 1 and " failed" in said:
        return True, "killed"
    last = said.strip().splitlines()[-1:] or ["it said nothing"]
    return False, "SURVIVED" if process.returncode == 0 else f"pytest ended with {process.returncode}: {last[0]}"


def main() -> int:
    """Exit status 1 when a mutant survived or could not be made."""
    parser = argparse.ArgumentParser(prog="make mutants", description="Take mechanisms away; tests must turn red.")
    parser.add_argument("--only", default="", metavar="WORD", help="mutants whose name contains it")
    parser.add_argument(
        "--simulation",
        nargs=argparse.REMAINDER,
        help="plant defects that the simulation must find (it has its own --help)",
    )
    given = parser.parse_args()
    if given.simulation is not None:
        return simulation_score.main(given.simulation)
    only, survived = given.only, 0
    with tempfile.TemporaryDirectory(prefix="km-") as scratch:
        for mutant in MUTANTS:
            if only in mutant.name:
                killed, what = run(mutant, Path(scratch))
                survived += not killed
                print(f"{'ok ' if killed else 'NO '} {mutant.name:32} {what:10} {mutant.test}", flush=True)
    print(f"mutants: {'all were killed' if not survived else f'{survived} were not killed'}")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
