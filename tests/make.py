# SPDX-License-Identifier: Apache-2.0
"""Things that many tests need: records with everything in them, and a database."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from kilonova.base.context import RequestContext
from kilonova.conductor import bootstrap
from kilonova.db.engine import Database
from kilonova.objects.flavor import Flavor
from kilonova.objects.ids import FlavorId, HostName, ImageId, InstanceId
from kilonova.objects.image import ImageRef
from kilonova.objects.instance import Instance
from kilonova.objects.service import HostNetwork, Inventory
from tests import postgres, template

T = TypeVar("T")

NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
ADMIN = ("admin", "member", "reader")
IMAGE_BYTES = b"kilonova" * 128


def run(main: Coroutine[Any, Any, T]) -> T:
    """A test's body, with an end."""

    async def bounded() -> T:
        async with asyncio.timeout(60):
            return await main

    return asyncio.run(bounded())


async def until(true: Callable[[], bool], limit_s: float = 120.0) -> None:
    """Wait for what another thread or process brings about."""
    async with asyncio.timeout(limit_s):
        while not true():  # noqa: ASYNC110 - nobody could set an event
            await asyncio.sleep(0.01)


def flavor(vcpus: int = 1, memory_mib: int = 128, disk_gib: int = 1) -> Flavor:
    return Flavor(FlavorId("1"), "m1.nano", vcpus, memory_mib, disk_gib)


def image_ref() -> ImageRef:
    digest = hashlib.sha512(IMAGE_BYTES).hexdigest()
    return ImageRef(ImageId("image-1"), "raw", len(IMAGE_BYTES), len(IMAGE_BYTES), digest)


def instance(instance_id: str = "11111111-1111-4111-8111-111111111111", **changes: Any) -> Instance:
    values: dict[str, Any] = {
        "id": InstanceId(instance_id),
        "project_id": "p1",
        "user_id": "u1",
        "name": "server one",
        "hostname": "server-one",
        "flavor": flavor(),
        "image": image_ref(),
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Instance(**{**values, **changes})


def context(request_id: str = "req-1", roles: tuple[str, ...] = ADMIN) -> RequestContext:
    return RequestContext(request_id, "u1", "p1", roles)


def inventory(**changes: Any) -> Inventory:
    network = HostNetwork("kilonova", "nat", "10.9.0.0/29", "10.9.0.1", "10.9.0.2", "10.9.0.4")
    values: dict[str, Any] = {
        "node": "node-1",
        "hypervisor_type": "QEMU",
        "hypervisor_version": 7002000,
        "vcpus": 4,
        "memory_mib": 8192,
        "disk_gib": 100,
        "vcpus_capacity": 16,
        "memory_mib_capacity": 8192,
        "disk_gib_capacity": 100,
        "networks": (network,),
    }
    return Inventory(**{**values, **changes})


HOST = HostName("h1")


def database(directory: Path) -> Database:
    """The database of a service that was started once.  Its transactions run in the caller's thread."""
    admin = bootstrap.FirstAdmin("u1", "p1", "hash")
    if postgres.is_used():
        return postgres.inline_database(directory, admin)
    path = directory / "kilonova.db"
    template.put_bootstrapped(path, admin)
    return template.open_inline(path)


class OneImage:
    """An image source with the one image of `image_ref`; counts how often it was read."""

    def __init__(self, data: bytes = IMAGE_BYTES) -> None:
        self.data, self.reads = data, 0

    def fetch(self, image: ImageRef, grant: str = "") -> "OneImage":
        return self

    def refuse(self) -> bool:
        return False

    async def read(self) -> AsyncGenerator[bytes]:
        self.reads += 1
        for start in range(0, len(self.data), 100):
            yield self.data[start : start + 100]
