# SPDX-License-Identifier: Apache-2.0
"""Parameters of actions: lists and numbers instead of text with commas; values that are not the verb's move to
`bookkeeping`."""

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"

actions = sa.table(
    "actions",
    sa.column("id", sa.String),
    sa.column("verb", sa.String),
    sa.column("params", sa.JSON),
    sa.column("bookkeeping", sa.JSON),
)

Old = Mapping[str, str]

_BOOKKEEPING = ("cause", "at_boot", "vm_state")


def upgrade() -> None:
    op.add_column("actions", sa.Column("bookkeeping", sa.JSON(), server_default="{}", nullable=False))
    connection = op.get_bind()
    for id_, verb, old in connection.execute(sa.select(actions.c.id, actions.c.verb, actions.c.params)).all():
        values = {"params": _params(verb, old), "bookkeeping": _bookkeeping(old)}
        connection.execute(sa.update(actions).where(actions.c.id == id_).values(**values))


def _params(verb: str, old: Old) -> dict[str, Any]:
    form = _FORMS.get(verb)
    return {name: text for name, text in old.items() if name not in _BOOKKEEPING} if form is None else form(old)


def _bookkeeping(old: Old) -> dict[str, Any]:
    return {
        "host_boot": old.get("cause") == "host-boot",
        "open_at_boot": "at_boot" in old,
        "abandoned_in": old.get("vm_state"),
    }


def _list(old: Old, name: str) -> list[str]:
    return [one for one in old.get(name, "").split(",") if one]


def _create(old: Old) -> dict[str, Any]:
    return {
        "networks": _list(old, "networks"),
        "fixed_ips": old["fixed_ips"].split(",") if old.get("fixed_ips") else [],
        "host": old.get("host"),
        "same_host": _list(old, "same_host"),
        "different_host": _list(old, "different_host"),
    }


def _snapshot(old: Old) -> dict[str, Any]:
    return {"image_id": old.get("image", "")}


def _backup(old: Old) -> dict[str, Any]:
    return {
        **_snapshot(old),
        "backup_type": old.get("backup_type", ""),
        "rotation": int(old.get("rotation", "0")),
        "dropped": _list(old, "dropped"),
    }


_SOURCES = {"offloaded": "offloaded", "torn": "offload_incomplete"}

_FORMS: Mapping[str, Callable[[Old], dict[str, Any]]] = {
    "create": _create,
    "delete": lambda old: {"forgotten_images": _list(old, "forgotten_images")},
    "reboot": lambda old: {"type": old.get("type", "SOFT")},
    "resize": lambda old: {"flavor_id": old.get("flavor", ""), "disk_config": old.get("disk_config")},
    "revertResize": lambda old: {"kept_disk": old.get("kept_disk", "")},
    "createImage": _snapshot,
    "createBackup": _backup,
    "shelve": _snapshot,
    "unshelve": lambda old: {
        "source": _SOURCES.get(old.get("from_shelf", ""), "disk"),
        "availability_zone": old.get("availability_zone"),
    },
    "lock": lambda old: {"reason": old.get("reason")},
    "resetState": lambda old: {"state": old.get("state", "error")},
    "power-update": lambda old: {"changes": int(old.get("count", "1"))},
}
"""The new form of the parameters of each verb that has any."""
