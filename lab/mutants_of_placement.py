# SPDX-License-Identifier: Apache-2.0
"""Mechanisms of scheduling, of builds that move, and of the networks of a fleet, taken away."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

MOVES = "tests/unit/conductor/test_reschedule.py"
FILTERS = "tests/unit/scheduler/test_filters.py"
NETWORKS = "tests/unit/conductor/test_declared_networks.py"
RACES = "tests/contract/test_placement_races.py"

MUTANTS_OF_PLACEMENT: Sequence[Mutant] = (
    one(
        "a build moves on",
        "tests/simulation/test_reschedule.py::test_lost_doubled_and_late_messages",
        "conductor/engine/reschedule.py",
        "return len(hosts) < MOST_HOSTS and",
        "return len(hosts) < 1 and",
    ),
    one(
        "three hosts at most",
        f"{MOVES}::test_three_hosts_are_tried_and_no_more",
        "conductor/engine/reschedule.py",
        "len(hosts) < MOST_HOSTS",
        "len(hosts) < 99",
    ),
    one(
        "a failed host is not tried again",
        f"{MOVES}::test_without_another_host_the_fault_has_the_failure_and_the_refusals",
        "conductor/placement/place.py",
        "tried=frozenset(tried(action.legs)),",
        "tried=frozenset(),",
    ),
    one(
        "the claim leaves the failed host",
        f"{MOVES}::test_a_failed_build_moves_with_its_claim_and_its_address",
        "conductor/engine/reschedule.py",
        "    write_hosts.release(tx, instance.host, instance)\n",
        "",
    ),
    one(
        "only a reason of the host moves a build",
        f"{MOVES}::test_a_build_stays_where_it_failed",
        "conductor/engine/reschedule.py",
        "if not outcome.of_host or not isinstance",
        "if not isinstance",
    ),
    one(
        "failed builds are counted",
        f"{MOVES}::test_failed_builds_are_forgotten_after_a_success_and_after_a_while",
        "conductor/engine/reschedule.py",
        "        write_hosts.build_failed(tx, host, now)\n",
        "        pass\n",
    ),
    one(
        "members do not see the hosts that were tried",
        "tests/unit/objects/test_told.py",
        "objects/messages.py",
        'text = _TRIED.sub("On a host: ", text)',
        "text = str(text)",
    ),
    one(
        "required filters",
        f"{FILTERS}::test_required_filters_cannot_be_switched_off",
        "scheduler/filters.py",
        "on = {*names, *REQUIRED_FILTERS}",
        "on = {*names}",
    ),
    one(
        "the priority of failed builds",
        f"{FILTERS}::test_hosts_on_which_builds_failed_come_last_whatever_they_have",
        "scheduler/choose.py",
        "key=lambda host: (-first[host], -weights[host], host)",
        "key=lambda host: (-weights[host], host)",
    ),
    one(
        "a host out of service gets no claim",
        f"{RACES}::test_a_host_that_went_out_of_service_since_it_was_chosen_gets_nothing",
        "db/writers/hosts.py",
        "_MOVE.where(sa.exists(_IN_SERVICE))",
        "_MOVE",
    ),
    one(
        "addresses are unique on a wire",
        f"{NETWORKS}::test_one_wire_under_two_names_gives_each_address_once",
        "objects/service.py",
        "return self.physical or self.name",
        "return self.name",
    ),
    one(
        "addresses follow the wire",
        f"{NETWORKS}::test_the_addresses_follow_a_host_to_the_wire_that_it_declares",
        "conductor/hosts/declared_networks.py",
        "if not write_instances.move_to_wire(tx, host, old.wire, network.wire):",
        "if not old.wire:",
    ),
    one(
        "an inventory is known by its digest",
        f"{NETWORKS}::test_one_name_on_two_wires_is_two_stocks_of_addresses",
        "db/writers/hosts.py",
        '"inventory_digest": hashlib.sha256(text.encode()).hexdigest()',
        '"inventory_digest": "same"',
    ),
)
