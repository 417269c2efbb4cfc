# SPDX-License-Identifier: Apache-2.0
"""Two lanes: calls on guests that do not come back never hold up what concerns the whole host."""

import asyncio
import time

import pytest

from tests.contract.drivers import private_daemon
from tests.make import until
from tests.unit.virt.test_connection import play, service


@pytest.mark.live
def test_calls_on_guests_hold_up_no_host_wide_read() -> None:
    async def test(uri: str) -> None:
        async with service(uri) as (driver, virtapi):
            await until(lambda: virtapi.in_service)
            await driver.guest_states()
            control = driver.connection.control
            async with asyncio.TaskGroup() as group:
                stuck = [group.create_task(control.run(lambda _conn: time.sleep(2))) for _ in range(16)]
                await until(lambda: control.calls.waiting > 0)
                assert await driver.guest_states() == {}
                assert not any(task.done() for task in stuck)

    with private_daemon() as daemon:
        play(lambda: test(daemon.uri))
