# SPDX-License-Identifier: Apache-2.0
"""What all tests share: quiet logs, tests that are coroutines, and a cloud for each test that names one."""

import asyncio
import io
import sys
from collections.abc import AsyncGenerator, Generator
from functools import wraps
from inspect import iscoroutinefunction
from typing import TYPE_CHECKING, Any

import pytest

from kilonova.base import logging

if TYPE_CHECKING:
    from tests.service.api import Api
    from tests.service.cloud import Cloud

ON_BOTH_DATABASES = frozenset(
    {
        "tests.service.test_api_idempotency",
        "tests.service.test_cost_of_create",
        "tests.service.test_fleet_host_images",
        "tests.service.test_api_image_quota",
        "tests.service.test_api_identity_lists",
        "tests.service.test_api_quotas",
        "tests.service.test_ui_events",
        "tests.unit.conductor.test_declared_networks",
        "tests.unit.conductor.test_quota",
        "tests.unit.conductor.test_reschedule",
        "tests.unit.conductor.test_server_groups",
        "tests.unit.db.test_rows",
    }
)
"""Modules whose tests run once on SQLite and once on PostgreSQL.  For the others see tests/postgres.py."""

LIMIT_S = 180
"""The longest time of a test that is a coroutine."""


def pytest_configure() -> None:
    """The service's own log lines are not a test's output."""
    logging.set_up(stream=io.StringIO())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that wait for real guests first: when they come last, one process waits alone."""
    items.sort(key=lambda item: item.get_closest_marker("live") is None)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The event loop of tests and fixtures that are coroutines (pyproject.toml: anyio_mode)."""
    return "asyncio"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the modules of ON_BOTH_DATABASES twice."""
    if metafunc.module.__name__ in ON_BOTH_DATABASES:
        metafunc.parametrize("database_engine", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(autouse=True)
def database_engine(request: pytest.FixtureRequest) -> Generator[None]:
    """The engine of all databases of a test."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield
        return
    from tests import postgres  # here, because most tests need no PostgreSQL

    with postgres.used():
        yield


def pytest_runtest_teardown() -> None:
    """Most unit tests do not close their database, which is nothing to SQLite."""
    if (postgres := sys.modules.get("tests.postgres")) is not None:
        postgres.forget_all()


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """A test that is a coroutine ends after LIMIT_S."""
    test = pyfuncitem.obj
    if iscoroutinefunction(test):

        @wraps(test)
        async def bounded(**arguments: Any) -> None:
            async with asyncio.timeout(LIMIT_S):
                await test(**arguments)

        pyfuncitem.obj = bounded
    return (yield)


@pytest.fixture
async def api() -> "AsyncGenerator[Api]":
    """The API of a new cloud, as its administrator sees it."""
    from tests.service.api import running_api  # here, because most unit tests need no cloud

    async with running_api() as opened:
        yield opened


@pytest.fixture
async def cloud() -> "AsyncGenerator[Cloud]":
    """A new cloud."""
    from tests.service.cloud import running_cloud

    async with running_cloud() as opened:
        yield opened
