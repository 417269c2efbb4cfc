# SPDX-License-Identifier: Apache-2.0
"""Mutants of what is purged, and of changes that are folded."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

HOUSEKEEPING = "tests/unit/conductor/test_housekeeping.py"
FLAPPING = "tests/unit/conductor/test_outbox.py::test_a_guest_that_flaps_has_few_notifications_and_the_last_is_true"
DUE = "db/readers/purge.py"

MUTANTS_OF_PURGE: Sequence[Mutant] = (
    one(
        "a server with an open action is kept",
        f"{HOUSEKEEPING}::test_a_server_whose_host_has_its_guest_still_is_kept",
        DUE,
        "row.purged_at.is_(None), ~sa.exists(open_), ~sa.exists(copy)",
        "row.purged_at.is_(None), ~sa.exists(copy)",
    ),
    one(
        "a server with a copy elsewhere is kept",
        f"{HOUSEKEEPING}::test_a_server_is_kept_while_a_host_that_was_given_up_may_have_a_copy",
        DUE,
        "~sa.exists(open_), ~sa.exists(copy)",
        "~sa.exists(open_)",
    ),
    one(
        "the marker of a page is kept",
        f"{HOUSEKEEPING}::test_a_page_goes_on_after_a_server_that_was_purged_meanwhile",
        DUE,
        "    return instances.c.purged_at <= now - GRACE\n",
        "    return instances.c.purged_at <= now\n",
    ),
    one(
        "the newest action of each verb is kept",
        f"{HOUSEKEEPING}::test_of_a_server_with_many_actions_the_newest_stay_and_the_newest_of_each_verb",
        DUE,
        "row.started_at <= newest_surplus, ~is_newest",
        "row.started_at <= newest_surplus",
    ),
    one(
        "a server with actions left is not marked",
        f"{HOUSEKEEPING}::test_a_server_with_more_actions_than_a_transaction_deletes_goes_in_several",
        "db/writers/purge.py",
        "    return [one for one in ids if one not in have]\n",
        "    return [one for one in ids if one not in have or have]\n",
    ),
    one(
        "a round ends between transactions",
        f"{HOUSEKEEPING}::test_two_conductors_purge_nothing_twice_and_a_stop_ends_a_round_at_once",
        "conductor/watch/housekeeping.py",
        "                self.counts.update(purged)\n                await self._clock.sleep(PAUSE_S)\n",
        "                self.counts.update(purged)\n",
    ),
    one(
        "folded changes are notified",
        FLAPPING,
        "conductor/verbs/power_update.py",
        "    outbox.changed_again(tx, action, instance, count, now)\n",
        "",
    ),
    one(
        "folded changes take the place of earlier ones",
        FLAPPING,
        "db/writers/notifications.py",
        "    if tx.execute(changed.values(values)).rowcount:\n",
        "    if not values:\n",
    ),
    one(
        "a published notification does not change",
        FLAPPING,
        "db/writers/notifications.py",
        "_REPLACE = sa.update(notifications).where(notifications.c.number.is_(None))\n",
        "_REPLACE = sa.update(notifications)\n",
    ),
)
