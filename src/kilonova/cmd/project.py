# SPDX-License-Identifier: Apache-2.0
"""`kilonova project`: the projects, which own servers, images and quotas."""

from typing import Annotated, Any

import typer

from kilonova.cmd.directory import (
    AsJson,
    CloudsFile,
    OsCloud,
    find,
    group,
    open_cloud,
    require_changes,
    show_list,
    show_one,
    switch,
)

app = group("Projects of the cloud. Requires the clouds.yaml of an administrator.")

Name = Annotated[str, typer.Argument(help="Name or id of the project.")]
Description = Annotated[str | None, typer.Option(help="Description of the project.")]
COLUMNS = ("id", "name", "enabled", "description")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the new project.")],
    description: Description = None,
    as_json: AsJson = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Create a project.  `kilonova role add` gives users access to it."""
    request = {"name": name, "description": description or ""}
    cloud = open_cloud(clouds_file, os_cloud)
    show_one(cloud.identify("POST", "/projects", {"project": request})["project"], as_json=as_json)


@app.command("list")
def list_projects(as_json: AsJson = False, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None) -> None:
    """List all projects, sorted by name."""
    cloud = open_cloud(clouds_file, os_cloud)
    show_list(cloud.identify("GET", "/projects")["projects"], COLUMNS, as_json=as_json)


@app.command("show")
def show(name: Name, as_json: AsJson = False, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None) -> None:
    """Show one project."""
    show_one(find(open_cloud(clouds_file, os_cloud), "project", name), as_json=as_json)


@app.command("set")
def change(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="New name.")] = None,
    description: Description = None,
    enable: Annotated[bool, typer.Option("--enable", help="Enable the project.")] = False,
    disable: Annotated[bool, typer.Option("--disable", help="Disable the project; its servers keep running.")] = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Change a project.  Tokens for a disabled project stop working immediately."""
    cloud = open_cloud(clouds_file, os_cloud)
    project = find(cloud, "project", name)
    given = {"name": new_name, "description": description, "enabled": switch(enable=enable, disable=disable)}
    changes: dict[str, Any] = {member: value for member, value in given.items() if value is not None}
    require_changes(changes)
    cloud.identify("PATCH", f"/projects/{project['id']}", {"project": changes})


@app.command("delete")
def delete(
    names: Annotated[list[str], typer.Argument(help="Names or ids.")],
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Delete projects, with their quotas and roles.  A project with servers or images is not deleted."""
    cloud = open_cloud(clouds_file, os_cloud)
    for project in [find(cloud, "project", name) for name in names]:
        cloud.identify("DELETE", f"/projects/{project['id']}")
