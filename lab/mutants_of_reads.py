# SPDX-License-Identifier: Apache-2.0
"""Mutants of the order of a guest's reads, and of what a host does not report again."""

from collections.abc import Sequence

from lab.mutant import Edit, Mutant, one

LATE = "tests/simulation/test_order_of_reports.py"
DESK = "tests/unit/conductor/test_order_of_reads.py"
RECORDS = "tests/unit/compute/test_guest_records.py"
GUESTS = "conductor/hosts/guests.py"
OF_HOST = "compute/guest_records.py"

MUTANTS_OF_READS: Sequence[Mutant] = (
    one(
        "a report that is older than the record changes nothing",
        f"{LATE}::test_a_message_that_the_bus_delivers_after_the_action_changes_nothing",
        GUESTS,
        "(read is not None and read.is_before(last))",
        "False",
    ),
    one(
        "a report that finds what is recorded is newer all the same",
        f"{LATE}::test_a_report_that_comes_after_the_next_one_changes_nothing",
        GUESTS,
        "        write_instances.note_read(tx, instance.id, read)\n",
        "        pass\n",
    ),
    one(
        "the numbers of two processes are not compared",
        f"{LATE}::test_a_report_of_the_hosts_former_process_changes_nothing_and_those_of_the_next_one_do",
        "objects/guest.py",
        "self.process_id == other.process_id and ",
        "",
    ),
    Mutant(
        "a read takes its number before it begins",
        "tests/unit/compute/test_runner.py::test_the_read_that_gives_the_outcome_begins_after_the_last_change",
        (
            Edit("compute/runner.py", "            run.read = self._new_read()\n", ""),
            Edit(
                "compute/runner.py",
                "        return found[-1]\n",
                "        run.read = self._new_read()\n        return found[-1]\n",
            ),
        ),
    ),
    one(
        "the end of an action has the mark of its read",
        f"{DESK}::test_a_read_from_before_an_action_changes_nothing_after_its_end",
        "conductor/engine/end.py",
        "write_instances.update_from(tx, ending.outcome.read, ",
        "write_instances.update_from(tx, None, ",
    ),
    one(
        "the late end of an abandoned action changes no newer record",
        "tests/contract/test_order_of_reads.py::test_the_late_end_of_an_abandoned_action_changes_no_newer_record",
        "conductor/engine/reports.py",
        "if reported.read is None or not reported.read.is_before(last):",
        "if last is None or reported is not None:",
    ),
    one(
        "the end of an action promises nothing about a state that it did not report",
        "tests/contract/test_order_of_reads.py::test_the_late_end_of_an_abandoned_action_changes_no_newer_record",
        "conductor/engine/reports.py",
        "following.recorded and outcome.power == reported.power",
        "following.recorded",
    ),
    one(
        "an end promises nothing that a reason can change",
        f"{DESK}::test_an_end_says_whether_its_state_is_recorded",
        "objects/states.py",
        "(not follows or desired_power == power_state)",
        "True",
    ),
    one(
        "what the end of an action reported is not reported again",
        f"{LATE}::test_what_the_end_of_an_action_reported_is_not_reported_again",
        "compute/observer.py",
        "self._records.news(found)",
        "tuple(found)",
    ),
    one(
        "after a report with an unknown outcome the record is not known",
        f"{RECORDS}::test_after_a_report_with_an_unknown_outcome_everything_is_news",
        OF_HOST,
        "        self._guests[instance_id] = _Record(self._registrations(), sent)\n",
        "        self._guests.setdefault(instance_id, _Record(self._registrations(), sent)).sent = sent\n",
    ),
    one(
        "an answer counts only for the newest report",
        f"{RECORDS}::test_an_answer_to_an_older_report_says_nothing_while_a_newer_one_is_on_its_way",
        OF_HOST,
        "record is not None and record.sent == number",
        "record is not None",
    ),
    one(
        "a new registration forgets",
        f"{RECORDS}::test_a_new_registration_forgets_what_the_conductor_had_recorded",
        OF_HOST,
        "record is not None and record.registration == self._registrations()",
        "record is not None",
    ),
    one(
        "a read that was left out makes older ones old",
        f"{RECORDS}::test_a_read_that_began_before_one_that_found_what_is_recorded_is_not_sent",
        OF_HOST,
        "        record.newest = seen.number\n",
        "",
    ),
)
