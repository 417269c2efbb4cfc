# SPDX-License-Identifier: Apache-2.0
"""Mutants of a host that is given up, its return, and the evacuation of its servers."""

from collections.abc import Sequence

from lab.mutant import Edit, Mutant, one

GONE = "tests/simulation/test_gone.py"
RETURN = f"{GONE}::test_a_host_that_returns_after_it_was_given_up"
FORGOTTEN = "tests/unit/conductor/test_forgotten.py"
HOSTS = "conductor/hosts/forgotten.py"

MUTANTS_OF_GONE: Sequence[Mutant] = (
    one(
        "a host that is alive is not given up",
        f"{FORGOTTEN}::test_a_host_that_is_alive_is_not_given_up",
        HOSTS,
        "    if known.up or heard:\n",
        "    if known.up:\n",
    ),
    one(
        "a server that was given up has no host",
        f"{FORGOTTEN}::test_its_servers_are_in_error_without_a_host_and_keep_their_addresses",
        HOSTS,
        '    columns: dict[str, Any] = {"host": None, "node": None, ',
        '    columns: dict[str, Any] = {"node": None, ',
    ),
    one(
        "abandoned actions end with their host",
        f"{FORGOTTEN}::test_work_in_progress_ends_and_a_late_report_of_it_has_no_effect",
        "conductor/hosts/lost_hosts.py",
        "    for action in read_actions.abandoned(tx, host):\n        _fail_abandoned(",
        "    for action in []:\n        _fail_abandoned(",
    ),
    one(
        "a late copy of a force-down changes nothing",
        "tests/regressions/test_late_force_down.py",
        "conductor/api_endpoint.py",
        "self._clock.now(), REQUEST_ID.get())",
        'self._clock.now(), "")',
    ),
    one(
        "an abandoned action that fails has a notification",
        "tests/unit/conductor/test_shelving.py"
        "::test_an_interrupted_action_that_does_not_continue_has_failed_and_leaves_no_image",
        "conductor/hosts/lost_hosts.py",
        "    outbox.ended(tx, action, instance, now, state=ActionState.FAILED, message=message)\n",
        "",
    ),
    one(
        "a delete does not wait for a host that was given up",
        "tests/unit/conductor/test_legs.py::test_a_delete_does_not_wait_for_a_host_that_was_given_up",
        "conductor/engine/legs.py",
        "            if VERBS[action.verb].until_done:  # nothing of the guest will return with the host\n",
        "            if False:\n",
    ),
    one(
        "a host that returns has a higher epoch",
        f"{FORGOTTEN}::test_what_an_older_process_says_is_refused_also_after_the_host_is_back",
        HOSTS,
        "    return 1 if before is None else before.epoch + 1\n",
        "    return 1\n",
    ),
    one(
        "its epoch grows when its service is deleted",
        f"{FORGOTTEN}::test_what_an_older_process_says_is_refused_also_after_the_host_is_back",
        HOSTS,
        "    write_tombstones.note_epoch(tx, service.host, epoch)\n",
        "",
    ),
    one(
        "a host that returns is out of service",
        f"{FORGOTTEN}::test_a_host_that_returns_is_out_of_service_until_its_copies_are_gone",
        "conductor/hosts/register.py",
        "        forgotten.keep_out(tx, request.host, now)\n",
        "",
    ),
    one(
        "it is enabled only without copies",
        f"{FORGOTTEN}::test_a_host_that_returns_is_out_of_service_until_its_copies_are_gone",
        HOSTS,
        "    if copies:\n",
        "    if False:\n",
    ),
    one(
        "the last copy is not removed",
        f"{FORGOTTEN}::test_a_host_that_returns_is_out_of_service_until_its_copies_are_gone",
        "db/readers/tombstones.py",
        "            if row.deleted_at is not None or row.host not in (None, host):\n",
        "            if True:\n",
    ),
    one(
        "a server is evacuated only from a host that was given up",
        f"{FORGOTTEN}::test_only_servers_of_a_host_that_was_given_up_are_evacuated",
        "conductor/verbs/evacuate.py",
        "    if instance.host is not None:\n",
        "    if False:\n",
    ),
    one(
        "no evacuation to a host with a copy",
        f"{FORGOTTEN}::test_an_evacuation_builds_the_server_elsewhere_and_is_listed",
        "conductor/placement/place.py",
        "host=params.host, tried=frozenset(params.excluded))\n",
        "host=params.host)\n",
    ),
    one(
        "a failed evacuation can be repeated",
        f"{FORGOTTEN}::test_an_evacuation_that_fails_can_be_repeated",
        "conductor/verbs/evacuate.py",
        '    return {"host": None, "node": None}\n',
        "    return {}\n",
    ),
    one(
        "a host that returns stops its copies",
        RETURN,
        "compute/given_up.py",
        "            await self._tools.driver.power_off(id_)\n",
        "            pass\n",
    ),
    one(
        "a step in progress is waited for",
        f"{GONE}::test_a_guest_that_is_being_started_is_stopped_too",
        "compute/given_up.py",
        "        while self._queues.is_busy(id_):  # its last step may still start the guest\n",
        "        while False:\n",
    ),
    one(
        "a host that returns removes superfluous copies",
        RETURN,
        "conductor/hosts/guests.py",
        "        if instance.id in copies:\n",
        "        if False:\n",
    ),
    one(
        "a process is not superseded by itself",
        RETURN,
        "compute/session.py",
        ' and exc.details.get("process_id") != self.identity.process_id:\n',
        ":\n",
    ),
    Mutant(
        "a started process learns that its host was given up",
        RETURN,
        (Edit("compute/session.py", "                if registered.given_up:\n", "                if False:\n"),),
    ),
)
