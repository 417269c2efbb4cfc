# SPDX-License-Identifier: Apache-2.0
"""`kilonova role`: roles and role assignments."""

from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from kilonova.cmd.directory import AsJson, CloudsFile, OsCloud, find, group, open_cloud, show_list

app = group("Roles of users in projects. Requires the clouds.yaml of an administrator.")
assignment = group("Role assignments of users in projects.")
app.add_typer(assignment, name="assignment")

Role = Annotated[str, typer.Argument(help="admin, member, reader, or a role that the policy file uses.")]
User = Annotated[str, typer.Option(help="Name or id of the user.")]
Project = Annotated[str, typer.Option(help="Name or id of the project.")]


@app.command("list")
def list_roles(as_json: AsJson = False, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None) -> None:
    """List all roles."""
    cloud = open_cloud(clouds_file, os_cloud)
    show_list(cloud.identify("GET", "/roles")["roles"], ("id", "name"), as_json=as_json)


@app.command("add", short_help="Give a user a role in a project.")
def add(
    role: Role, user: User, project: Project, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None
) -> None:
    """Give a user a role in a project.  New tokens contain it."""
    _edit("PUT", role, user, project, open_cloud(clouds_file, os_cloud))


@app.command("remove")
def remove(
    role: Role, user: User, project: Project, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None
) -> None:
    """Remove a role of a user in a project.  Tokens lose it immediately."""
    _edit("DELETE", role, user, project, open_cloud(clouds_file, os_cloud))


def _edit(method: str, role: str, user: str, project: str, cloud: Any) -> None:
    user_id, project_id = find(cloud, "user", user)["id"], find(cloud, "project", project)["id"]
    cloud.identify(method, f"/projects/{project_id}/users/{user_id}/roles/{find(cloud, 'role', role)['id']}")


@assignment.command("list")
def list_assignments(
    user: Annotated[str | None, typer.Option(help="Only assignments of this user.")] = None,
    project: Annotated[str | None, typer.Option(help="Only assignments in this project.")] = None,
    effective: Annotated[bool, typer.Option("--effective", help="Include implied roles.")] = False,
    as_json: AsJson = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Role assignments of users in projects."""
    cloud = open_cloud(clouds_file, os_cloud)
    query = {"include_names": "true", "effective": str(effective).lower()}
    if user is not None:
        query["user.id"] = find(cloud, "user", user)["id"]
    if project is not None:
        query["scope.project.id"] = find(cloud, "project", project)["id"]
    found = cloud.identify("GET", f"/role_assignments?{urlencode(query)}")["role_assignments"]
    shown = [
        {"role": one["role"]["name"], "user": one["user"]["name"], "project": one["scope"]["project"]["name"]}
        for one in found
    ]
    show_list(shown, ("role", "user", "project"), as_json=as_json)
