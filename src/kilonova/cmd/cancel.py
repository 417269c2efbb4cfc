# SPDX-License-Identifier: Apache-2.0
"""`kilonova cancel`: cancels an action that waits or runs."""

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonova.cmd.console import server_id
from kilonova.cmd.directory import CloudsFile, OsCloud, open_cloud

if TYPE_CHECKING:
    from kilonova.cmd.cloud_api import Cloud

_ID = re.compile(r"(req-)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RESULTS = {
    "cancelled": "is cancelled",
    "continues": "continues",
    "cleaning-up": "has ended for you",
    "ended": "ended before",
}


def cancel(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ACTION|REQUEST|SERVER", help="Id of an action or of a request, or name or id of a server."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of sentences.")] = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Cancel an action, all actions of a request, or the action in progress on a server.

    A member can cancel the actions on the servers of the project.  Exit status: 0 when the actions have ended, 1 when
    one of them continues, because it has passed its point of no return.
    """
    cloud = open_cloud(clouds_file, os_cloud)
    found = cloud.call("POST", "/kilonova/cancel", {"cancel": {"id": _id_of(cloud, name)}})["cancel"]["actions"]
    print(json.dumps(found, indent=2) if as_json else "\n".join(map(line_of, found)))
    if any(one["result"] == "continues" for one in found):
        raise typer.Exit(1)


def _id_of(cloud: "Cloud", name: str) -> str:
    return name if _ID.fullmatch(name) else server_id(cloud, name)


def line_of(one: dict[str, Any]) -> str:
    """What became of one action, in a sentence."""
    result = _RESULTS.get(one["result"], one["result"])
    line = f"The action {one['action']} on server {one['server_id']} (request {one['request_id']}) {result}."
    return f"{line} {one['message']}" if one["message"] else line
