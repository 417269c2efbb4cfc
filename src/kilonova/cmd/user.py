# SPDX-License-Identifier: Apache-2.0
"""`kilonova user`: who may use the cloud."""

from typing import Annotated, Any

import typer

from kilonova.cmd.directory import (
    AsJson,
    CloudsFile,
    OsCloud,
    find,
    group,
    new_password,
    open_cloud,
    refuse_nothing,
    show_list,
    show_one,
    switch,
)

app = group("Users of the cloud. An administrator's clouds.yaml is needed.")

Name = Annotated[str, typer.Argument(help="Name or id of the user.")]
Project = Annotated[str | None, typer.Option(help="Default project, by name or id.")]
Description = Annotated[str | None, typer.Option(help="Words about the user.")]
COLUMNS = ("id", "name", "enabled", "default_project_id", "description")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the new user.")],
    project: Project = None,
    role: Annotated[list[str] | None, typer.Option(help="Role in that project; may be given again.")] = None,
    description: Description = None,
    disable: Annotated[bool, typer.Option("--disable", help="Made, and not let in yet.")] = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="Let in by nothing yet.")] = False,
    as_json: AsJson = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Make a user.  The password is asked for, or read from standard input.

    With --project and --role the user can work there at once.
    """
    cloud = open_cloud(clouds_file, os_cloud)
    if role and project is None:
        raise typer.BadParameter("a role is given in a project: name one with --project")
    asked: dict[str, Any] = {"name": name, "enabled": not disable}
    if project is not None:
        asked["default_project_id"] = find(cloud, "project", project)["id"]
    role_ids = [find(cloud, "role", one)["id"] for one in role or ()]
    if description is not None:
        asked["description"] = description
    if not no_password:
        asked["password"] = new_password(name)
    user = cloud.identify("POST", "/users", {"user": asked})["user"]
    for role_id in role_ids:
        cloud.identify("PUT", f"/projects/{user['default_project_id']}/users/{user['id']}/roles/{role_id}")
    show_one(user, as_json=as_json)


@app.command("list")
def list_users(as_json: AsJson = False, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None) -> None:
    """All users, by name."""
    cloud = open_cloud(clouds_file, os_cloud)
    show_list(cloud.identify("GET", "/users")["users"], COLUMNS, as_json=as_json)


@app.command("show")
def show(name: Name, as_json: AsJson = False, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None) -> None:
    """One user."""
    show_one(find(open_cloud(clouds_file, os_cloud), "user", name), as_json=as_json)


@app.command("set")
def change(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    password: Annotated[bool, typer.Option("--password", help="A new password, asked for or from stdin.")] = False,
    project: Project = None,
    description: Description = None,
    enable: Annotated[bool, typer.Option("--enable", help="Let in again.")] = False,
    disable: Annotated[bool, typer.Option("--disable", help="Let in no longer; tokens end at once.")] = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Change a user.  A new password, or a disabling, ends the user's tokens."""
    cloud = open_cloud(clouds_file, os_cloud)
    user = find(cloud, "user", name)
    given = {"name": new_name, "description": description, "enabled": switch(enable=enable, disable=disable)}
    changes: dict[str, Any] = {member: value for member, value in given.items() if value is not None}
    if project is not None:
        changes["default_project_id"] = find(cloud, "project", project)["id"]
    if password:
        changes["password"] = new_password(name)
    refuse_nothing(changes)
    cloud.identify("PATCH", f"/users/{user['id']}", {"user": changes})


@app.command("delete", short_help="Delete users; servers stay.")
def delete(
    names: Annotated[list[str], typer.Argument(help="Names or ids.")],
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Delete users, with their roles, application credentials and key pairs.  Servers belong to projects: they stay."""
    cloud = open_cloud(clouds_file, os_cloud)
    for user in [find(cloud, "user", name) for name in names]:
        cloud.identify("DELETE", f"/users/{user['id']}")
