# SPDX-License-Identifier: Apache-2.0
"""What a host does not report again, because the conductor has recorded it."""

from kilonova.compute.guest_records import GuestRecords
from kilonova.objects.ids import InstanceId
from kilonova.objects.states import PowerState
from kilonova.rpcapi.host_to_conductor import Observed

ONE = InstanceId("one")
RUNNING, PAUSED = PowerState.RUNNING, PowerState.PAUSED


class Host:
    """A process of a host, which registers again when a test says so."""

    def __init__(self) -> None:
        self.registrations = 1
        self.records = GuestRecords("process", lambda: self.registrations)

    def read(self, power: PowerState | None, reason: str = "") -> Observed:
        return Observed(ONE, power, reason, self.records.new_read().number)

    def sends(self, seen: Observed) -> None:
        self.records.sends(ONE, seen.number)

    def recorded(self, seen: Observed) -> None:
        self.records.recorded(ONE, seen.number, seen.power, seen.reason)

    def ends(self, power: PowerState | None) -> None:
        """An action has ended with this state, and it is recorded."""
        number = self.records.new_read().number
        self.records.sends(ONE, number)
        self.records.recorded(ONE, number, power, None)

    def is_news(self, seen: Observed) -> bool:
        return bool(self.records.news((seen,)))


def test_what_the_end_of_an_action_reported_is_not_reported_again() -> None:
    host = Host()
    host.ends(RUNNING)
    assert not host.is_news(host.read(RUNNING, "booted"))
    assert host.is_news(host.read(PAUSED, "user"))


def test_a_report_is_repeated_only_with_another_reason() -> None:
    host = Host()
    seen = host.read(RUNNING, "booted")
    assert host.is_news(seen)
    host.sends(seen)
    host.recorded(seen)
    assert not host.is_news(host.read(RUNNING, "booted"))
    assert host.is_news(host.read(RUNNING, "unpaused"))


def test_after_a_report_with_an_unknown_outcome_everything_is_news() -> None:
    host = Host()
    host.ends(RUNNING)
    host.sends(host.read(PAUSED))
    assert host.is_news(host.read(RUNNING))


def test_an_answer_to_an_older_report_says_nothing_while_a_newer_one_is_on_its_way() -> None:
    host = Host()
    first, second = host.read(RUNNING), host.read(PAUSED)
    host.sends(first)
    host.sends(second)
    host.recorded(first)
    assert host.is_news(host.read(RUNNING))
    host.recorded(second)
    assert not host.is_news(host.read(PAUSED))


def test_a_read_that_began_before_one_that_found_what_is_recorded_is_not_sent() -> None:
    host = Host()
    host.ends(RUNNING)
    slow = host.read(PAUSED)
    assert not host.is_news(host.read(RUNNING))
    assert host.records.current((slow,)) == ()
    assert not host.is_news(slow)


def test_a_new_registration_forgets_what_the_conductor_had_recorded() -> None:
    host = Host()
    host.ends(RUNNING)
    host.registrations += 1
    assert host.is_news(host.read(RUNNING))


def test_an_answer_from_before_a_registration_says_nothing_after_it() -> None:
    host = Host()
    seen = host.read(RUNNING)
    host.sends(seen)
    host.registrations += 1
    host.recorded(seen)
    assert host.is_news(host.read(RUNNING))


def test_guests_that_are_not_expected_here_are_forgotten() -> None:
    host = Host()
    host.ends(None)
    host.records.keep({ONE})
    assert not host.is_news(host.read(None))
    host.records.keep(())
    assert host.is_news(host.read(None))
