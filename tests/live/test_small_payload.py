# SPDX-License-Identifier: Apache-2.0
"""A NATS server with a small max_payload: work arrives in pieces, and what is too large holds nothing up."""

import asyncio
import base64
import tempfile
from pathlib import Path

import pytest

from kilonova.objects.ids import InstanceId
from kilonova.rpcapi.api_to_conductor import CREATE_SERVERS, CreateServers
from tests.contract.buses import nats_server
from tests.live.fleet import Fleet, context

pytestmark = pytest.mark.live


def test_work_arrives_in_pieces_and_what_is_too_large_is_named() -> None:
    with tempfile.TemporaryDirectory(prefix="kn-fleet-") as directory, nats_server("max_payload: 65536") as nats:
        fleet = Fleet(Path(directory), nats)
        try:
            fleet.conductor.start().ready()
            large, *others = asyncio.run(create(fleet, [45_000, *[14_000] * 8]))
            fleet.compute.start().ready()
            for one in others:
                fleet.wait_state(one, "active")
            fleet.conductor.wait_said("larger than a message of the bus")
            assert fleet.record(large).task_state is not None
            assert "max_payload is small" in fleet.conductor.said()
            assert "max_payload is small" in fleet.compute.said()
        finally:
            fleet.close()


async def create(fleet: Fleet, sizes: list[int]) -> list[InstanceId]:
    """One server for each size of user data, in bytes before base64."""
    found: list[InstanceId] = []
    async with fleet.api() as api:
        image = await fleet.image()
        for size in sizes:
            data = base64.b64encode(b"x" * size).decode()
            instance = fleet.instance(image, user_data=data)
            await api.call(CREATE_SERVERS, CreateServers(context(), (instance,)))
            found.append(instance.id)
    return found
