# SPDX-License-Identifier: Apache-2.0
"""`kilonova why`: why a server is on its host, or on none."""

import json
from typing import Annotated, Any

import typer

from kilonova.cmd.console import server_id
from kilonova.cmd.directory import CloudsFile, OsCloud, open_cloud


def why(
    name: Annotated[str, typer.Argument(help="Name or id of the server.")],
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of sentences.")] = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Explain the last placement of a server: what each filter refused, the weights, and the hosts on which it was
    tried.  Requires the clouds.yaml of an administrator.
    """
    cloud = open_cloud(clouds_file, os_cloud)
    id_ = server_id(cloud, name, all_projects=True)
    found = cloud.call("GET", f"/kilonova/servers/{id_}/placement")["placement"]
    print(json.dumps(found, indent=2) if as_json else "\n".join(lines_of(found)))


def lines_of(placement: dict[str, Any]) -> list[str]:
    """The placement in sentences, one per line."""
    head = f"Server {placement['server_id']}: {placement['action']} of {placement['started_at']} UTC"
    lines = [f"{head} (request {placement['request_id']}) is {placement['state']}."]
    if placement["message"]:
        lines.append(placement["message"])
    if not placement["tries"]:
        lines.append("No host has been chosen yet.")
    for number, one in enumerate(placement["tries"], start=1):
        lines += ["", *_lines_of_try(number, one)]
    return lines


def _lines_of_try(number: int, one: dict[str, Any]) -> list[str]:
    result = f"host {one['host']} was chosen" if one["host"] else "no host could take it"
    lines = [
        f"Try {number}, {one['at']} UTC: {result}; {one['candidates']} of {one['hosts']} hosts passed the filters."
    ]
    if left_out := one.get("left_out", 0):
        lines.append(f"  {left_out} hosts were left out by the database: no room, out of service, or less weight.")
    lines += [f"  {_refused(refused)}" for refused in one["refused"]]
    lines += [f"  {weighed['host']} has the weight {weighed['weight']:.2f}." for weighed in one["weighed"]]
    lines += [f"  {lost['host']} could not take it after all: {lost['reason']}." for lost in one["lost"]]
    if one["failure"]:
        lines.append(f"  The build failed on {one['host']}: {one['failure']}")
    return lines


def _refused(refused: dict[str, Any]) -> str:
    names = ", ".join(refused["hosts"])
    more = refused["count"] - len(refused["hosts"])
    rest = f" and {more} more" if more else ""
    return f"{refused['filter']} refused {refused['count']}: {names}{rest} ({refused['reason']})."
