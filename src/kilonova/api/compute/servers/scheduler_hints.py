# SPDX-License-Identifier: Apache-2.0
"""os:scheduler_hints: near which servers a new one is placed.  A hint that would be without effect is refused.

Source: Compute API reference, "Create Server"; the filters' names are Nova's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kilonova.api.http.ids import require_uuid
from kilonova.base.context import RequestContext
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.db.readers import instances, server_groups
from kilonova.db.transaction import Snapshot
from kilonova.objects.ids import InstanceId, ServerGroupId

_PATH = "os:scheduler_hints"
_WITHOUT_EFFECT_HERE = frozenset({"query", "target_cell", "build_near_host_ip", "different_cell"})


@dataclass(frozen=True, slots=True)
class Hints:
    """A server group to join; servers one of whose hosts it must be, and servers whose hosts it must not be."""

    group: ServerGroupId | None = None
    same_host: tuple[InstanceId, ...] = ()
    different_host: tuple[InstanceId, ...] = ()


def hints_of(asked: Mapping[str, Any]) -> Hints:
    """Raises InvalidInput."""
    unkept = sorted(asked.keys() & _WITHOUT_EFFECT_HERE)
    if unkept:
        raise InvalidInput(f"The scheduler hint {unkept[0]} is not supported here.", path=_PATH)
    return Hints(_group(asked.get("group")), _servers("same_host", asked), _servers("different_host", asked))


def _group(group: object) -> ServerGroupId | None:
    if group is None:
        return None
    if not isinstance(group, str):
        raise InvalidInput("The hint group is not the id of a server group.", path=f"{_PATH}.group")
    return ServerGroupId(require_uuid(f"{_PATH}.group", group))


def _servers(name: str, asked: Mapping[str, Any]) -> tuple[InstanceId, ...]:
    wanted = asked.get(name, [])
    ids = wanted if isinstance(wanted, list) else [wanted]
    if not all(isinstance(one, str) for one in ids):
        raise InvalidInput(f"The hint {name} is no id of a server, and no list of such.", path=f"{_PATH}.{name}")
    return tuple(InstanceId(require_uuid(f"{_PATH}.{name}", one)) for one in ids)


def check(snapshot: Snapshot, hints: Hints, context: RequestContext) -> None:
    """What is named is there, and the caller's.  Raises InvalidInput: the new server is what is not found by 404."""
    scope = None if context.is_admin else context.project_id
    if hints.group is not None:
        try:
            server_groups.get(snapshot, hints.group, scope)
        except NotFound as exc:
            raise InvalidInput(exc.message, path=f"{_PATH}.group") from exc
    for name, ids in (("same_host", hints.same_host), ("different_host", hints.different_host)):
        found = instances.get_all_known(snapshot, ids)
        seen = {one.id for one, is_deleted in found if not is_deleted and scope in (None, one.project_id)}
        for missing in (wanted for wanted in ids if wanted not in seen):
            raise InvalidInput(f"Instance {missing} could not be found.", path=f"{_PATH}.{name}")
