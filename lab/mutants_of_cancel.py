# SPDX-License-Identifier: Apache-2.0
"""Mechanisms that keep a cancel true, taken away."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

STORY = "tests/simulation/test_cancel.py"
DESK = "tests/unit/conductor/test_cancel.py"
API = "tests/service/test_api_cancel.py"
STEPS = f"{STORY}::test_a_verb_is_cancelled_during_each_of_its_steps"
DIED = f"{STORY}::test_a_host_that_died_undoes_the_action_or_ends_it"

MUTANTS_OF_CANCEL: Sequence[Mutant] = (
    one(
        "a point of no return",
        STEPS,
        "compute/queues.py",
        "if found is None else found[0].no_return\n",
        'if found is None else ""\n',
    ),
    one(
        "a run that this process has not seen is beyond its point of no return",
        DIED,
        "compute/queues.py",
        "return self._operations[action.leg.operation].no_return if found is None",
        'return "" if found is None',
    ),
    one(
        "a run that is repeated is beyond its point of no return",
        f"{STORY}::test_a_run_that_is_repeated_counts_as_beyond_its_point_of_no_return",
        "compute/queues.py",
        'operation.no_return if item.action.leg.repeated else ""',
        '""',
    ),
    one(
        "a cancelled build gives its claim and addresses back",
        STEPS,
        "conductor/verbs/create.py",
        "    release_from_host(tx, ending.instance)\n",
        "",
    ),
    one(
        "a cancelled rebuild restores the record",
        STEPS,
        "conductor/verbs/rebuild.py",
        '    return {**former.columns, "image": former.image}\n',
        "    return {}\n",
    ),
    one(
        "a guest that a cancelled action has powered off is started",
        STEPS,
        "conductor/verbs/start_after_boot.py",
        " and not action.is_cancelled and not failed:\n",
        " and not failed:\n",
    ),
    one(
        "a cancelled action is no failure of the server",
        STEPS,
        "conductor/engine/end.py",
        " and not ending.cancelled:\n",
        ":\n",
    ),
    one(
        "an action ends for its user before its host answers",
        f"{STORY}::test_a_host_that_is_down_cleans_up_when_it_is_back",
        "conductor/engine/cancel.py",
        "    write_instances.update(tx, instance.id, now, **values)\n\n\ndef before_cancel",
        "\n\ndef before_cancel",
    ),
    one(
        "a refused cancel restores what its user saw",
        f"{DESK}::test_a_refused_cancel_is_refused_again_and_the_action_ends_as_requested",
        "conductor/engine/cancel.py",
        "        write_instances.update(tx, before.id, now, **values)\n",
        "        pass\n",
    ),
    one(
        "a build that is cancelled while it moves is not placed again",
        f"{DESK}::test_a_build_that_moves_to_another_host_is_not_placed_again",
        "objects/leg.py",
        "replace(legs[undone], retried=False, message=message)",
        "legs[undone]",
    ),
    one(
        "what could not be removed keeps its claim",
        f"{DESK}::test_what_could_not_be_removed_keeps_its_claim",
        "conductor/verbs/handler.py",
        " and is_undone(self.action.legs)\n",
        "\n",
    ),
    one(
        "a host of version 1 has no points of no return",
        f"{DESK}::test_work_that_a_host_of_version_1_has_begun_is_not_cancelled",
        "conductor/engine/cancel.py",
        "FIRST_VERSION = 2\n",
        "FIRST_VERSION = 1\n",
    ),
    one(
        "cancels are within a project",
        f"{API}::test_members_cancel_what_waits_in_their_project",
        "db/readers/actions.py",
        "    if project_id is None:\n        return ACTIONS.load_all(snapshot.execute(_NAMED,",
        "    if True:\n        return ACTIONS.load_all(snapshot.execute(_NAMED,",
    ),
    one(
        "a locked server is locked for cancels, too",
        f"{API}::test_members_cancel_what_waits_in_their_project",
        "conductor/engine/cancel.py",
        "    if instance.locked_by is not None and rule.respects_lock",
        "    if False and rule.respects_lock",
    ),
)
