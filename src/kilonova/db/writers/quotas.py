# SPDX-License-Identifier: Apache-2.0
"""Writing quotas and their usage."""

from collections.abc import Collection
from dataclasses import asdict, fields

import sqlalchemy as sa

from kilonova.db.dialect import Upsert
from kilonova.db.readers.quotas import DEFAULT_CLASS
from kilonova.db.schema import quota_usages, quotas
from kilonova.db.transaction import Transaction
from kilonova.objects.quota import UNLIMITED, Limits, Usage


def set_limits(tx: Transaction, project_id: str, limits: Limits) -> None:
    """Set limits of a project; those of other resources stay."""
    for resource, limit in limits.items():
        tx.execute(_PUT_LIMIT.on(tx), {"project_id": project_id, "resource": resource, "hard_limit": limit})


def delete_limits(tx: Transaction, project_id: str, resources: Collection[str] | None = None) -> None:
    """Delete the limits of these resources, or all.  The defaults apply to a project without its own limits."""
    statement = sa.delete(quotas).where(quotas.c.project_id == project_id)
    tx.execute(statement if resources is None else statement.where(quotas.c.resource.in_(resources)))


def take(tx: Transaction, project_id: str, wanted: Usage, limits: Limits) -> bool:
    """Add to a project's usage, if every resource whose usage grows stays within its limit.

    A conditional update, as for claims: of two requests for the last unit, one succeeds, on any database.
    """
    values = {"project": project_id, **{f"more_{name}": amount for name, amount in asdict(wanted).items()}}
    values |= {f"most_{name}": limits[name] for name in asdict(wanted)}
    if tx.execute(_TAKE, values).rowcount:
        return True
    _open(tx, project_id)  # another transaction may have created it meanwhile, so the update is tried again in any case
    return tx.execute(_TAKE, values).rowcount == 1


def take_within_limits(tx: Transaction, project_id: str, wanted: Usage, defaults: Limits) -> bool:
    """Add to a project's usage within the limits that are recorded, or `defaults`: one statement.  False when something
    does not fit, or the project has no usage yet: then nothing is changed."""
    values = {"project": project_id, **{f"more_{name}": amount for name, amount in asdict(wanted).items()}}
    values |= {f"most_{name}": defaults[name] for name in asdict(wanted)}
    return tx.execute(_TAKE_WITHIN_LIMITS, values).rowcount == 1


def move(tx: Transaction, project_id: str, by: Usage) -> None:
    """Add to a project's usage, or subtract with negative amounts, without a check of the limits."""
    values = {"project": project_id, **{f"more_{name}": amount for name, amount in asdict(by).items()}}
    if not tx.execute(_MOVE, values).rowcount:
        _open(tx, project_id)
        tx.execute(_MOVE, values)


def locked_usage(tx: Transaction, project_id: str) -> Usage:
    """The usage of the project's servers, locked against changes until the transaction ends.

    (SQLite has one writer at a time, and no row locks.)
    """
    _open(tx, project_id)
    row = tx.execute(_LOCK, {"project": project_id}).one()
    return Usage(row.instances, row.cores, row.ram)


def _open(tx: Transaction, project_id: str) -> None:
    """Create a project's row with its first server; the row is never deleted."""
    tx.execute(_OPEN.on(tx), {"project_id": project_id, "instances": 0, "cores": 0, "ram": 0})


def _fits(name: str) -> sa.ColumnElement[bool]:
    more, most = _bound("more", name), _bound("most", name)
    return sa.or_(more <= 0, most == UNLIMITED, quota_usages.c[name] + more <= most)


def _bound(what: str, name: str) -> sa.BindParameter[int]:
    return sa.bindparam(f"{what}_{name}", type_=quota_usages.c[name].type)


def _limit(project: sa.ColumnElement[str], name: str) -> sa.ScalarSelect[int]:
    query = sa.select(quotas.c.hard_limit).where(quotas.c.project_id == project, quotas.c.resource == name)
    return query.scalar_subquery()


def _fits_recorded(name: str) -> sa.ColumnElement[bool]:
    more, default = _bound("more", name), _bound("most", name)
    own, of_all = _limit(sa.bindparam("project", type_=sa.String), name), _limit(sa.literal(DEFAULT_CLASS), name)
    most = sa.func.coalesce(own, of_all, default)
    return sa.or_(more <= 0, most == UNLIMITED, quota_usages.c[name] + more <= most)


_COUNTED = tuple(field.name for field in fields(Usage))
_OF_PROJECT = sa.update(quota_usages).where(quota_usages.c.project_id == sa.bindparam("project"))
_MOVE = _OF_PROJECT.values({name: quota_usages.c[name] + sa.bindparam(f"more_{name}") for name in _COUNTED})
_TAKE = _MOVE.where(*(_fits(name) for name in _COUNTED))
_TAKE_WITHIN_LIMITS = _MOVE.where(*(_fits_recorded(name) for name in _COUNTED))
_LOCK = (
    sa.select(*(quota_usages.c[name] for name in _COUNTED))
    .where(quota_usages.c.project_id == sa.bindparam("project"))
    .with_for_update()
)
_OPEN = Upsert(quota_usages, ("project_id",))
_PUT_LIMIT = Upsert(quotas, ("project_id", "resource"), replace=("hard_limit",))
