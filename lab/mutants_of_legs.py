# SPDX-License-Identifier: Apache-2.0
"""Mechanisms that keep an action of several legs true, taken away."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

LEGS = "tests/unit/conductor/test_legs.py"
LEG = "tests/unit/objects/test_leg.py"
TWO = "tests/simulation/test_two_legs.py"

MUTANTS_OF_LEGS: Sequence[Mutant] = (
    one(
        "a report names its leg",
        f"{LEGS}::test_a_report_is_of_the_leg_that_it_names_also_under_the_token_of_another",
        "conductor/engine/reports.py",
        "    if report.leg.index != action.current:\n",
        "    if report.leg.index > action.current:\n",
    ),
    one(
        "another host's leg",
        f"{LEGS}::test_another_hosts_leg_is_refused",
        "conductor/attempts.py",
        "leg.host != message.host or ",
        "",
    ),
    one(
        "a clean-up of an earlier leg",
        f"{LEGS}::test_only_the_current_leg_is_confirmed",
        "conductor/attempts.py",
        "    if message.leg.index != action.current:\n",
        "    if message.leg.index > action.current:\n",
    ),
    one(
        "a refused leg that was handed out before is undone",
        "tests/unit/compute/test_snapshot_operations.py"
        "::test_what_an_earlier_attempt_has_made_goes_when_the_next_one_is_refused_at_its_first_look",
        "compute/runner.py",
        "undo=run.job.action.leg.repeated)",
        "undo=False)",
    ),
    one(
        "a leg that is handed out again",
        f"{LEG}::test_a_leg_is_repeated_when_another_attempt_had_it_and_stays_so",
        "objects/leg.py",
        "self.repeated or self.attempt not in (None, attempt)",
        "self.attempt not in (None, attempt)",
    ),
    one(
        "what runs is a leg",
        f"{LEGS}::test_a_host_that_still_runs_an_earlier_leg_gets_the_later_one_and_stops_the_earlier",
        "conductor/engine/hand_out.py",
        "if one[0].leg_id not in running]",
        "if one[0].id not in {leg.action_id for leg in running}]",
    ),
    one(
        "an earlier leg is stopped",
        f"{LEGS}::test_a_host_that_still_runs_an_earlier_leg_gets_the_later_one_and_stops_the_earlier",
        "conductor/engine/hand_out.py",
        "for leg in request.running if leg not in current and",
        "for leg in request.running if leg.action_id not in {one.action_id for one in current} and",
    ),
    one(
        "undo in reverse order",
        f"{LEG}::test_what_was_done_is_undone_in_reverse_order_on_its_hosts",
        "objects/leg.py",
        "return tuple(reversed(tuple(undo)))",
        "return tuple(undo)",
    ),
    one(
        "the leg that commits",
        f"{LEG}::test_nothing_is_undone_from_a_leg_that_commits_backwards",
        "objects/leg.py",
        "if number > commits and _is_done(leg)",
        "if _is_done(leg)",
    ),
    one(
        "a host undoes its leg",
        f"{TWO}::test_a_host_that_is_called_down_before_its_leg_makes_it_fail",
        "compute/runner.py",
        "            if run.job.action.leg.undoes is not None:\n",
        "            if run.job.action.leg.undoes == -1:\n",
    ),
    one(
        "the next leg's host is woken",
        f"{TWO}::test_the_other_hosts_are_asked_at_once_and_not_at_their_next_poll",
        "conductor/host_endpoint.py",
        "        if finished.wake is not None:\n",
        "        if finished.wake == '':\n",
    ),
    one(
        "an undo waits for its host",
        f"{LEGS}::test_a_leg_that_nobody_fetches_fails_at_the_deadline_and_what_was_done_is_undone",
        "objects/leg.py",
        "return self.attempt is not None or self.undoes is not None",
        "return self.attempt is not None",
    ),
    one(
        "an undo has time of its own",
        f"{LEGS}::test_a_host_hears_that_the_time_is_up_in_whatever_leg",
        "conductor/engine/legs.py",
        "    if more_time:\n",
        "    if not more_time:\n",
    ),
    one(
        "a host that was called down is given no leg",
        f"{LEGS}::test_a_host_that_is_called_down_before_its_leg_fails_it_and_what_was_done_is_undone",
        "conductor/engine/legs.py",
        "and read_hosts.is_forced_down(tx, leg.host):",
        "and leg.host is None:",
    ),
    one(
        "an undo is abandoned with its host",
        f"{LEGS}::test_an_undo_waits_for_a_host_that_was_called_down",
        "conductor/engine/legs.py",
        "        abandon(tx, action, now)\n",
        "        pass\n",
    ),
    one(
        "a host that is forgotten is given no leg",
        f"{LEGS}::test_a_host_whose_service_is_deleted_is_not_waited_for",
        "conductor/engine/legs.py",
        "        if read_hosts.process_of(tx, leg.host) is None:\n",
        "        if leg.host == '':\n",
    ),
    one(
        "a delete goes to every host",
        f"{TWO}::test_a_delete_after_a_failed_undo_removes_what_was_left",
        "conductor/engine/plan.py",
        "several = (*open_ones, *read_actions.not_done(tx, instance.id))",
        "several = open_ones",
    ),
    one(
        "a delete stops the host at work first",
        f"{LEGS}::test_a_delete_stops_the_host_at_work_first_and_goes_to_every_host",
        "conductor/engine/plan.py",
        "host not in at_work, host != instance.host",
        "host != instance.host, host not in at_work",
    ),
    one(
        "a guest is busy wherever the leg is",
        f"{LEGS}::test_a_guest_is_busy_on_its_host_while_another_host_works",
        "conductor/hosts/guests.py",
        "    busy = read_actions.busy_on_host(tx, request.host)\n",
        "    busy = {action.instance_id for action in read_actions.open_of_host(tx, request.host)}\n",
    ),
    one(
        "a boot starts nothing beside an action",
        f"{LEGS}::test_a_boot_in_the_middle_starts_no_guest_beside_the_action",
        "db/readers/actions.py",
        '.where(actions.c.state == sa.literal_column("\'open\'"), instances.c.host == sa.bindparam("of_host"))\n',
        '.where(actions.c.state == sa.literal_column("\'open\'"), actions.c.host == sa.bindparam("of_host"))\n',
    ),
    one(
        "the power of the guest's own host",
        f"{LEG}::test_the_guests_state_is_the_last_that_its_host_reported",
        "objects/leg.py",
        "for leg in reported if leg.host == host), None)",
        "for leg in reported), None)",
    ),
)
