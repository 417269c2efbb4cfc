# SPDX-License-Identifier: Apache-2.0
"""`kilonova role`: who may do what where."""

from typing import Annotated, Any
from urllib.parse import urlencode

import typer

from kilonova.cmd.directory import AsJson, CloudsFile, OsCloud, find, group, open_cloud, show_list

app = group("Roles of users in projects. An administrator's clouds.yaml is needed.")
assignment = group("Who has which role where.")
app.add_typer(assignment, name="assignment")

Role = Annotated[str, typer.Argument(help="admin, member, reader, or one that the policy file speaks of.")]
User = Annotated[str, typer.Option(help="Name or id of the user.")]
Project = Annotated[str, typer.Option(help="Name or id of the project.")]


@app.command("list")
def list_roles(as_json: AsJson = False, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None) -> None:
    """The roles that there are."""
    cloud = open_cloud(clouds_file, os_cloud)
    show_list(cloud.identify("GET", "/roles")["roles"], ("id", "name"), as_json=as_json)


@app.command("add", short_help="Give a user a role in a project.")
def add(
    role: Role, user: User, project: Project, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None
) -> None:
    """Give a user a role in a project; it holds from the next token on."""
    _edit("PUT", role, user, project, open_cloud(clouds_file, os_cloud))


@app.command("remove")
def remove(
    role: Role, user: User, project: Project, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None
) -> None:
    """Take a role away; tokens lose it at once."""
    _edit("DELETE", role, user, project, open_cloud(clouds_file, os_cloud))


def _edit(method: str, role: str, user: str, project: str, cloud: Any) -> None:
    user_id, project_id = find(cloud, "user", user)["id"], find(cloud, "project", project)["id"]
    cloud.identify(method, f"/projects/{project_id}/users/{user_id}/roles/{find(cloud, 'role', role)['id']}")


@assignment.command("list")
def list_assignments(
    user: Annotated[str | None, typer.Option(help="Only of this user.")] = None,
    project: Annotated[str | None, typer.Option(help="Only in this project.")] = None,
    effective: Annotated[bool, typer.Option("--effective", help="With the roles that others imply.")] = False,
    as_json: AsJson = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Who has which role where."""
    cloud = open_cloud(clouds_file, os_cloud)
    asked = {"include_names": "true", "effective": str(effective).lower()}
    if user is not None:
        asked["user.id"] = find(cloud, "user", user)["id"]
    if project is not None:
        asked["scope.project.id"] = find(cloud, "project", project)["id"]
    found = cloud.identify("GET", f"/role_assignments?{urlencode(asked)}")["role_assignments"]
    shown = [
        {"role": one["role"]["name"], "user": one["user"]["name"], "project": one["scope"]["project"]["name"]}
        for one in found
    ]
    show_list(shown, ("role", "user", "project"), as_json=as_json)
