# SPDX-License-Identifier: Apache-2.0
"""The outbox: each event of an action becomes one notification, numbered, published at least once and in order."""

import json
from pathlib import Path

from kilonova.base.clock import SystemClock
from kilonova.base.errors import KilonovaError, RpcUnavailable
from kilonova.conductor.hosts import forgotten, lost_hosts
from kilonova.conductor.watch.publisher import Publisher
from kilonova.db.readers import notifications as read_notifications
from kilonova.db.readers.notifications import Delivery, Wanted
from kilonova.db.writers import notifications as write_notifications
from kilonova.objects.states import EVENTS, PowerState, Verb
from kilonova.rpc.memory import MemoryBus, MemoryHub
from kilonova.rpcapi.notifications import subject_of
from tests import make
from tests.unit.conductor.desk import ONE, Desk

CLOCK = SystemClock()


def events(desk: Desk) -> list[str]:
    desk.write(write_notifications.number, True)
    return [one.notification.event_type for one in desk.read(read_notifications.after, 0, 100)]


def test_each_verb_has_an_event() -> None:
    assert set(EVENTS) == set(Verb)


def test_a_create_and_a_stop_have_a_start_and_an_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.active()
    desk.accept(Verb.STOP, "req-stop")
    (item,) = desk.fetch("a2").items
    desk.finish(item.action, power=PowerState.SHUTDOWN)
    desk.accept(Verb.LOCK, "req-lock")
    assert events(desk) == [
        "instance.create.start",
        "instance.create.end",
        "instance.power_off.start",
        "instance.power_off.end",
        "instance.lock",
    ]
    shown = [one.notification for one in desk.read(read_notifications.after, 0, 100)]
    assert [(one.payload["state"], one.payload["task_state"]) for one in shown] == [
        ("building", "scheduling"),
        ("active", ""),
        ("active", "powering-off"),
        ("stopped", ""),
        ("stopped", ""),
    ]
    assert shown[2].payload["request_id"] == "req-stop"
    assert {one.payload["uuid"] for one in shown} == {ONE}


def test_a_repeat_of_a_request_or_of_a_report_adds_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.active()
    for _ in range(2):
        desk.accept(Verb.STOP, "req-stop")
    (item,) = desk.fetch("a2").items
    for _ in range(2):
        desk.finish(item.action, power=PowerState.SHUTDOWN)
    assert events(desk)[2:] == ["instance.power_off.start", "instance.power_off.end"]


def test_a_failure_is_an_error_with_its_reason(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.place(desk.create())
    assert events(desk) == ["instance.create.start", "instance.create.error"]
    last = desk.read(read_notifications.newest, 1)[0].notification
    assert (last.priority, last.payload["state"]) == ("ERROR", "error")
    assert "No valid host" in last.payload["fault"]


def test_a_delete_reports_the_superseded_action(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.register()
    desk.place(desk.create())
    desk.accept(Verb.DELETE, "req-delete")
    assert events(desk)[1:] == ["instance.create.error", "instance.delete.start"]


def test_what_an_operator_does_with_a_host_updates_its_servers(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.active()
    desk.accept(Verb.STOP, "req-stop")
    desk.fetch("a2")
    desk.set_up(make.HOST, up=False)
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=True)
    desk.write(lost_hosts.call_down, make.HOST, desk.now, forced=False)
    desk.write(forgotten.forget, make.HOST, desk.now, heard=False)
    events(desk)
    shown = [one.notification for one in desk.read(read_notifications.after, 0, 100)[3:]]
    facts = [(one.event_type, *(one.payload[name] for name in ("state", "task_state", "host"))) for one in shown]
    assert facts == [
        ("instance.update", "error", "", "h1"),
        ("instance.update", "active", "powering-off", "h1"),
        ("instance.power_off.error", "active", "", "h1"),
        ("instance.update", "error", "", ""),
    ]


def test_secrets_of_the_instance_are_not_in_a_notification(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.create(make.instance(user_data="c2VjcmV0", key_data="ssh-ed25519 AAAA", metadata={"password": "hidden"}))
    desk.write(write_notifications.number, True)
    text = str(desk.read(read_notifications.newest, 10))
    for secret in ("c2VjcmV0", "AAAA", "hidden"):
        assert secret not in text


class Subscriber:
    """A bus, and what it has received: the numbers, in order."""

    def __init__(self) -> None:
        self.bus = MemoryBus(MemoryHub(), CLOCK)
        self.numbers: list[int] = []
        self.subjects: list[str] = []
        self.fails = False

    async def receive(self, subject: str, payload: bytes) -> bytes:
        self.numbers.append(json.loads(payload)["number"])
        self.subjects.append(subject)
        return b""

    async def confirm(self) -> None:
        if self.fails:
            raise RpcUnavailable("The bus is away.", subject="ping")


async def published(desk: Desk, subscriber: Subscriber, publishers: int = 1) -> list[Publisher]:
    """Publishers that have published what is committed, one after the other."""
    made = [Publisher(desk.db, subscriber.bus, CLOCK, 1.0, subscriber.confirm) for _ in range(publishers)]
    for publisher in made:
        await publisher.publish()
    return made


def test_what_is_committed_is_published_once_and_in_order(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.active()
    subscriber = Subscriber()

    async def main() -> None:
        async with subscriber.bus as bus:
            await bus.subscribe("notifications.*.*.*", subscriber.receive)
            first, second = await published(desk, subscriber, 2)
            await first.publish()
            await second.publish()
            await CLOCK.sleep(0.05)

    make.run(main())
    assert subscriber.numbers == [1, 2]
    assert subscriber.subjects == ["notifications.instance.create.start", "notifications.instance.create.end"]


def test_what_waits_for_delivery_is_counted_with_the_time_of_the_oldest(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    assert desk.read(read_notifications.delivery) == Delivery(0, 0, 0, None)
    desk.active()
    without_numbers = desk.read(read_notifications.delivery)
    assert (without_numbers.numbered, without_numbers.published, without_numbers.waiting) == (0, 0, 2)
    desk.write(write_notifications.number, False)
    first, second = desk.read(read_notifications.find, Wanted(), 10)
    assert without_numbers.waiting_since == first.notification.created_at
    desk.write(write_notifications.record_published, 1)
    assert desk.read(read_notifications.delivery) == Delivery(2, 1, 1, second.notification.created_at)


def test_a_bus_that_is_away_delays_the_publication_and_loses_nothing(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.active()
    subscriber = Subscriber()

    async def main() -> None:
        async with subscriber.bus as bus:
            subscriber.fails = True
            try:
                await published(desk, subscriber)
            except KilonovaError:
                pass
            else:
                raise AssertionError("a publication that was not confirmed was recorded")
            subscriber.fails = False
            await bus.subscribe("notifications.*.*.*", subscriber.receive)
            await published(desk, subscriber)  # another conductor: the first one has recorded nothing
            await CLOCK.sleep(0.05)

    make.run(main())
    assert subscriber.numbers == [1, 2]


def test_a_subject_has_only_harmless_tokens() -> None:
    assert subject_of("compute.libvirt.error") == "notifications.compute.libvirt.error"
    assert subject_of("a..>.*.b c") == "notifications.a._.%3e.%2a.b%20c"
