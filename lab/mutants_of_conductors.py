# SPDX-License-Identifier: Apache-2.0
"""Mutants of several conductors that share one database."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

SEVERAL = "tests/simulation/test_conductors.py"
PROCESSES = "tests/unit/conductor/test_processes.py"
BUILD = "tests/unit/conductor/test_build.py"
WATCH = "conductor/hosts/host_watch.py"

MUTANTS_OF_CONDUCTORS: Sequence[Mutant] = (
    one(
        "a suspicion before a host is down",
        f"{SEVERAL}::test_a_host_that_one_conductor_does_not_hear_stays_up_while_another_does",
        WATCH,
        "            if others and level.suspected_at is None:\n",
        "            if False:\n",
    ),
    one(
        "a heartbeat removes a suspicion",
        f"{SEVERAL}::test_a_host_that_one_conductor_does_not_hear_stays_up_while_another_does",
        WATCH,
        "and (not level.up or level.suspected_at is not None):\n",
        "and not level.up:\n",
    ),
    one(
        "a ping before a host is down",
        f"{SEVERAL}::test_heartbeats_that_are_lost_call_no_host_down_that_answers",
        WATCH,
        "        self._liveness.heard(level.host, answer.epoch)\n        return answer.epoch == level.epoch\n",
        "        return False\n",
    ),
    one(
        "what another conductor accepted",
        f"{SEVERAL}::test_what_a_killed_conductor_has_not_placed_another_one_places",
        "conductor/service.py",
        "            UNPLACED: claimed(UNPLACED, interval, self._placer.put_unplaced),\n",
        "",
    ),
    one(
        "one round in each interval",
        f"{SEVERAL}::test_each_interval_has_one_round_whoever_lives",
        "db/writers/rounds.py",
        "    if tx.execute(_CLAIM, values).rowcount == 1:\n",
        "    if True:\n",
    ),
    one(
        "a jump moves the windows once",
        f"{SEVERAL}::test_a_jump_of_the_clock_moves_the_windows_once",
        "db/writers/rounds.py",
        "where(rounds.c.name == name, rounds.c.serial == since)\n    return tx.execute(step.values(serial=since + 1,",
        "where(rounds.c.name == name)\n    return tx.execute(step.values(serial=rounds.c.serial + 1,",
    ),
    one(
        "two live processes lose their host",
        f"{SEVERAL}::test_both_of_two_live_processes_lose_the_host_and_any_conductor_serves_the_operator",
        "compute/manager.py",
        "        lost = await session.contest()\n",
        "        lost = await session.until_lost()\n",
    ),
    one(
        "nobody registers during a conflict",
        f"{PROCESSES}::test_two_live_processes_of_one_identity_both_lose_the_host_until_an_operator_decides",
        "conductor/hosts/processes.py",
        "    if conflict is not None:\n        raise",
        "    if False:\n        raise",
    ),
    one(
        "a delayed message is no conflict",
        f"{PROCESSES}::test_a_process_that_was_replaced_for_another_reason_than_its_silence_is_no_conflict",
        "conductor/hosts/conflicts.py",
        "not request.epoch < request.newer <= known.epoch or ",
        "",
    ),
    one(
        "refused processes are in the database",
        f"{SEVERAL}::test_a_refused_copy_is_known_to_every_conductor",
        "conductor/hosts/processes.py",
        "    write_contests.put(tx, request.host, **claim)\n",
        "",
    ),
    one(
        "a process that another conductor admitted",
        f"{PROCESSES}::test_a_process_that_registered_with_another_conductor_a_moment_ago_is_alive",
        "conductor/hosts/liveness.py",
        "_Seen(process.epoch, since=now if self._looked else None)",
        "_Seen(process.epoch)",
    ),
    one(
        "waits by the action's record",
        f"{BUILD}::test_how_long_a_create_waits_follows_from_its_record_and_not_from_a_conductors_memory",
        "conductor/placement/waiting.py",
        "    return Patience()\n\n\ndef move(",
        "    return patience\n\n\ndef move(",
    ),
    one(
        "waits move as deadlines do",
        f"{BUILD}::test_time_in_which_no_conductor_worked_is_no_part_of_a_wait",
        "conductor/watch/deadlines.py",
        "            waiting.move(tx, action, passed)\n",
        "            pass\n",
    ),
)
