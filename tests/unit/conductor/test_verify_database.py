# SPDX-License-Identifier: Apache-2.0
"""Planted differences between the tables: each is found by its code, and repaired where its kind has a repair.  That
there is none at any commit of the service is in test_recount."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from kilonova.conductor.verify import database
from kilonova.db.engine import Database
from kilonova.db.schema import actions, addresses, instances
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.db.writers import quotas as write_quotas
from kilonova.db.writers.hosts import Resources
from kilonova.objects.difference import KINDS, Part
from kilonova.objects.quota import Usage
from tests import make
from tests.transactions import ACTIVE, H1, NOW, OTHER, RUNNING, build_world


def quota(by: int, project: str = "p1") -> Callable[[Transaction], Any]:
    return lambda tx: write_quotas.move(tx, project, Usage(by, by, 128 * by))


def claims(servers: int) -> Callable[[Transaction], Any]:
    return lambda tx: write_hosts.set_claims(tx, H1, Resources(servers, 128 * servers, servers), servers)


def server(**values: Any) -> Callable[[Transaction], Any]:
    return lambda tx: tx.execute(sa.update(instances).where(instances.c.id == ACTIVE).values(**values))


def keep_an_address(tx: Transaction) -> None:
    tx.execute(sa.insert(addresses).values(host=H1, network="kilonova", value=77, instance_id=ACTIVE))


def lose_an_address(tx: Transaction) -> None:
    tx.execute(sa.delete(addresses).where(addresses.c.instance_id == ACTIVE))


def give_an_address_to_another(tx: Transaction) -> None:
    """The row of a server's address is another one's, which is idle and does not have it."""
    tx.execute(sa.update(actions).where(actions.c.instance_id == OTHER).values(state="failed"))
    tx.execute(sa.update(instances).where(instances.c.id == OTHER).values(task_state=None))
    tx.execute(sa.update(addresses).where(addresses.c.instance_id == ACTIVE).values(instance_id=OTHER))


def share_an_address(tx: Transaction) -> None:
    same = sa.select(instances.c.addresses).where(instances.c.id == ACTIVE).scalar_subquery()
    tx.execute(sa.update(instances).where(instances.c.id == RUNNING).values(addresses=same))


@dataclass(frozen=True)
class Plant:
    """What is planted, the codes that are found, and those that a repair leaves."""

    plant: Callable[[Transaction], Any]
    found: set[str]
    left: frozenset[str] = frozenset()


PLANTS = {
    "the usage is too large": Plant(quota(1), {"quota-usage"}),
    "the usage is too small": Plant(quota(-1), {"quota-usage"}),
    "a project without servers has a usage": Plant(quota(2, "p-gone"), {"quota-usage"}),
    "a claim is too large": Plant(claims(9), {"claim"}),
    "a claim is missing": Plant(claims(1), {"claim"}),
    "a delete left everything": Plant(server(deleted_at=NOW), {"quota-usage", "claim", "address-kept"}),
    "an address is kept": Plant(keep_an_address, {"address-kept"}),
    "an address is not reserved": Plant(lose_an_address, {"address-missing"}),
    "an address is another server's": Plant(give_an_address_to_another, {"address-kept", "address-missing"}),
    "two servers have an address": Plant(share_an_address, {"address-double"}, frozenset({"address-double"})),
    "a task without an action": Plant(server(task_state="rebooting"), {"task-kept"}, frozenset({"task-kept"})),
    "a host that is not registered": Plant(server(host="h9"), {"host-unknown", "claim"}, frozenset({"host-unknown"})),
}


async def codes(db: Database) -> set[str]:
    return {one.code for one in await db.read(database.differences)}


@pytest.mark.parametrize("name", PLANTS)
async def test_a_planted_difference_is_found_and_repaired(name: str, tmp_path: Path) -> None:
    plant, db = PLANTS[name], make.database(tmp_path)
    try:
        await build_world(db)
        assert await codes(db) == set()
        await db.write(plant.plant)
        assert await codes(db) == plant.found
        mended = await db.write(database.mend)
        assert {one.code for one in mended} == plant.found - plant.left
        assert await codes(db) == plant.left
        assert await db.write(database.mend) == ()
    finally:
        await db.close()


def test_every_kind_of_the_database_is_planted() -> None:
    planted = set[str]().union(*(plant.found for plant in PLANTS.values()))
    assert planted == {kind.code for kind in KINDS.values() if kind.part is Part.DATABASE}
