# SPDX-License-Identifier: Apache-2.0
"""A driver as others may write one: the core and nothing besides, in front of the fake hypervisor."""

from collections.abc import Awaitable, Callable
from typing import Any

from kilonova.config.load import Settings
from kilonova.virt.driver import ComputeDriver, VirtAPI
from kilonova.virt.fake import FakeDriver
from kilonova.virt.fake.machine import FakeHypervisor


def _handed_on(name: str) -> Callable[..., Awaitable[Any]]:
    async def method(self: Any, *words: Any) -> Any:
        return await getattr(self.fake, name)(*words)

    return method


class _Plain(ComputeDriver):
    def __init__(
        self,
        virtapi: VirtAPI,
        settings: Settings,
        *,
        read_only: bool = False,
        hypervisor: FakeHypervisor | None = None,
    ) -> None:
        super().__init__(virtapi, settings, read_only=read_only)
        self.fake = FakeDriver(virtapi, settings, read_only=read_only, hypervisor=hypervisor)


PlainDriver: type[_Plain] = type(
    "PlainDriver", (_Plain,), {name: _handed_on(name) for name in ComputeDriver.__abstractmethods__}
)
