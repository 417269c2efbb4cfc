# SPDX-License-Identifier: Apache-2.0
"""Mutants of a fleet of two versions."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

NEWER = "tests/unit/conductor/test_newer_values.py"
VERSIONS = "tests/unit/rpcapi/test_versions.py"
REPORTS = "tests/unit/conductor/test_versions.py"

MUTANTS_OF_VERSIONS: Sequence[Mutant] = (
    one(
        "a value of a newer version can be read",
        "tests/unit/base/test_open_enum.py::test_an_unknown_member_goes_through_unchanged",
        "base/open_enum.py",
        "        if not isinstance(value, str) or not _WORD.fullmatch(value):\n",
        "        if value != _WORD:\n",
    ),
    one(
        "work of a newer version is not revoked",
        f"{NEWER}::test_work_of_a_newer_verb_is_neither_handed_out_nor_revoked",
        "conductor/engine/hand_out.py",
        "if leg not in current and leg.action_id not in work.others)",
        "if leg not in current)",
    ),
    one(
        "work of a newer version is left alone",
        f"{NEWER}::test_work_of_a_newer_verb_is_neither_handed_out_nor_revoked",
        "db/readers/actions.py",
        "            if action.is_known:\n",
        "            if action.id:\n",
    ),
    one(
        "a report about newer work goes to another conductor",
        f"{NEWER}::test_a_report_about_a_newer_verb_is_left_to_another_conductor",
        "conductor/engine/reports.py",
        "    check_known(action)\n",
        "",
    ),
    one(
        "a delete does not supersede newer work",
        f"{NEWER}::test_a_delete_does_not_supersede_what_this_version_cannot_undo",
        "conductor/engine/accept.py",
        "    for action in open_actions:\n        check_known(action)\n",
        "",
    ),
    one(
        "an unknown power state is not a known one",
        f"{NEWER}::test_a_newer_power_state_is_shown_as_unknown_never_as_off",
        "objects/statuses.py",
        "if vm_state == VmState.ACTIVE and power_state not in KNOWN_POWER:",
        "if vm_state == VmState.ACTIVE and power_state is PowerState.NOSTATE:",
    ),
    one(
        "the window of versions",
        f"{VERSIONS}::test_another_peer_is_refused_in_one_sentence_that_says_what_to_upgrade",
        "rpcapi/endpoint.py",
        "        check_window(request.version, *parties(subject))\n",
        "",
    ),
    one(
        "a new method waits for all conductors",
        f"{VERSIONS}::test_a_method_that_not_all_conductors_have_is_not_sent",
        "rpcapi/versions.py",
        "if method.since > self.lowest and",
        "if method.since > 10**6 and",
    ),
    one(
        "release 0.1 reports an unknown method in its own way",
        f"{VERSIONS}::test_another_conductor_is_tried_within_the_time",
        "rpcapi/caller.py",
        "        raise as_unknown_method(exc, method) from exc\n",
        "        raise exc\n",
    ),
    one(
        "heartbeats as the lowest conductor receives them",
        f"{REPORTS}::test_a_host_sends_its_heartbeat_as_the_lowest_conductor_receives_it",
        "compute/session.py",
        "if self.conductor.conductors.lowest < HEARTBEAT.since:",
        "if self.conductor.conductors.lowest < 0:",
    ),
    one(
        "a host of the previous release has no ping",
        f"{REPORTS}::test_a_host_that_has_no_ping_answers_all_the_same",
        "conductor/hosts/host_watch.py",
        "        except NotInThisVersion:",
        "        except ZeroDivisionError:",
    ),
    one(
        "a host looks at the conductor's version",
        f"{REPORTS}::test_a_host_waits_for_a_conductor_that_it_can_work_with",
        "compute/session.py",
        "check_window(registered.version, ",
        "check_window(self.conductor.conductors.lowest, ",
    ),
    one(
        "a newer database says who may use it",
        "tests/unit/db/test_migrate.py::test_a_newer_database_is_refused_and_left_alone",
        "db/compatibility.py",
        "    if lowest is not None and lowest <= CODE_VERSION:",
        "    if lowest != 0:",
    ),
    one(
        "the database is not contracted under older processes",
        "tests/contract/test_db_commands.py::test_an_upgrade_that_removes_something_waits_for_older_processes",
        "db/postgres/schema.py",
        "    if older:\n",
        "    if older and lowest < 0:\n",
    ),
)
