# SPDX-License-Identifier: Apache-2.0
"""`kilonova user`: the users of the cloud."""

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
    require_changes,
    show_list,
    show_one,
    switch,
)

app = group("Users of the cloud. Requires the clouds.yaml of an administrator.")

Name = Annotated[str, typer.Argument(help="Name or id of the user.")]
Project = Annotated[str | None, typer.Option(help="Default project, by name or id.")]
Description = Annotated[str | None, typer.Option(help="Description of the user.")]
COLUMNS = ("id", "name", "enabled", "default_project_id", "description")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the new user.")],
    project: Project = None,
    role: Annotated[list[str] | None, typer.Option(help="Role in that project; may be repeated.")] = None,
    description: Description = None,
    disable: Annotated[bool, typer.Option("--disable", help="Create the user disabled.")] = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="Create the user without a password.")] = False,
    as_json: AsJson = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Create a user.  The command prompts for the password, or reads it from standard input.

    With --project and --role the user can work in that project immediately.
    """
    cloud = open_cloud(clouds_file, os_cloud)
    if role and project is None:
        raise typer.BadParameter("a role needs a project: give one with --project")
    request: dict[str, Any] = {"name": name, "enabled": not disable}
    if project is not None:
        request["default_project_id"] = find(cloud, "project", project)["id"]
    role_ids = [find(cloud, "role", one)["id"] for one in role or ()]
    if description is not None:
        request["description"] = description
    if not no_password:
        request["password"] = new_password(name)
    user = cloud.identify("POST", "/users", {"user": request})["user"]
    for role_id in role_ids:
        cloud.identify("PUT", f"/projects/{user['default_project_id']}/users/{user['id']}/roles/{role_id}")
    show_one(user, as_json=as_json)


@app.command("list")
def list_users(as_json: AsJson = False, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None) -> None:
    """List all users, sorted by name."""
    cloud = open_cloud(clouds_file, os_cloud)
    show_list(cloud.identify("GET", "/users")["users"], COLUMNS, as_json=as_json)


@app.command("show")
def show(name: Name, as_json: AsJson = False, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None) -> None:
    """Show one user."""
    show_one(find(open_cloud(clouds_file, os_cloud), "user", name), as_json=as_json)


@app.command("set")
def change(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="New name.")] = None,
    password: Annotated[
        bool, typer.Option("--password", help="Set a new password, from a prompt or standard input.")
    ] = False,
    project: Project = None,
    description: Description = None,
    enable: Annotated[bool, typer.Option("--enable", help="Enable the user.")] = False,
    disable: Annotated[bool, typer.Option("--disable", help="Disable the user; its tokens end immediately.")] = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Change a user.  A new password, or --disable, ends the user's tokens."""
    cloud = open_cloud(clouds_file, os_cloud)
    user = find(cloud, "user", name)
    given = {"name": new_name, "description": description, "enabled": switch(enable=enable, disable=disable)}
    changes: dict[str, Any] = {member: value for member, value in given.items() if value is not None}
    if project is not None:
        changes["default_project_id"] = find(cloud, "project", project)["id"]
    if password:
        changes["password"] = new_password(name)
    require_changes(changes)
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
