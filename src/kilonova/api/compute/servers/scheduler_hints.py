# SPDX-License-Identifier: Apache-2.0
"""os:scheduler_hints: servers near which a new one is placed.  A hint that would have no effect is refused.

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
    """The server group to join; `same_host` servers, one of whose hosts is used; `different_host` servers, whose hosts
    are not used."""

    group: ServerGroupId | None = None
    same_host: tuple[InstanceId, ...] = ()
    different_host: tuple[InstanceId, ...] = ()


def hints_of(request: Mapping[str, Any]) -> Hints:
    """Parse the hints of a request.  Raises InvalidInput."""
    unkept = sorted(request.keys() & _WITHOUT_EFFECT_HERE)
    if unkept:
        raise InvalidInput(f"The scheduler hint {unkept[0]} is not supported here.", path=_PATH)
    return Hints(_group(request.get("group")), _servers("same_host", request), _servers("different_host", request))


def _group(group: object) -> ServerGroupId | None:
    if group is None:
        return None
    if not isinstance(group, str):
        raise InvalidInput("The hint group is not the id of a server group.", path=f"{_PATH}.group")
    return ServerGroupId(require_uuid(f"{_PATH}.group", group))


def _servers(name: str, request: Mapping[str, Any]) -> tuple[InstanceId, ...]:
    wanted = request.get(name, [])
    ids = wanted if isinstance(wanted, list) else [wanted]
    if not all(isinstance(one, str) for one in ids):
        raise InvalidInput(f"The hint {name} is not the id of a server or a list of such ids.", path=f"{_PATH}.{name}")
    return tuple(InstanceId(require_uuid(f"{_PATH}.{name}", one)) for one in ids)


def check(snapshot: Snapshot, hints: Hints, context: RequestContext) -> None:
    """Check that the group and the servers exist and belong to the caller.  Raises InvalidInput."""
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
