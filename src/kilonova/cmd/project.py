# SPDX-License-Identifier: Apache-2.0
"""`kilonova project`: what servers, images and quotas belong to."""

from typing import Annotated, Any

import typer

from kilonova.cmd.directory import (
    AsJson,
    CloudsFile,
    OsCloud,
    find,
    group,
    open_cloud,
    refuse_nothing,
    show_list,
    show_one,
    switch,
)

app = group("Projects of the cloud. An administrator's clouds.yaml is needed.")

Name = Annotated[str, typer.Argument(help="Name or id of the project.")]
Description = Annotated[str | None, typer.Option(help="Words about the project.")]
COLUMNS = ("id", "name", "enabled", "description")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the new project.")],
    description: Description = None,
    as_json: AsJson = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Make a project; `kilonova role add` lets users work in it."""
    asked = {"name": name, "description": description or ""}
    cloud = open_cloud(clouds_file, os_cloud)
    show_one(cloud.identify("POST", "/projects", {"project": asked})["project"], as_json=as_json)


@app.command("list")
def list_projects(as_json: AsJson = False, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None) -> None:
    """All projects, by name."""
    cloud = open_cloud(clouds_file, os_cloud)
    show_list(cloud.identify("GET", "/projects")["projects"], COLUMNS, as_json=as_json)


@app.command("show")
def show(name: Name, as_json: AsJson = False, os_cloud: OsCloud = "kilonova", clouds_file: CloudsFile = None) -> None:
    """One project."""
    show_one(find(open_cloud(clouds_file, os_cloud), "project", name), as_json=as_json)


@app.command("set")
def change(
    name: Name,
    new_name: Annotated[str | None, typer.Option("--name", help="A new name.")] = None,
    description: Description = None,
    enable: Annotated[bool, typer.Option("--enable", help="Let its users in again.")] = False,
    disable: Annotated[bool, typer.Option("--disable", help="Let nobody in; servers go on.")] = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Change a project.  Tokens for one that is disabled stop working at once."""
    cloud = open_cloud(clouds_file, os_cloud)
    project = find(cloud, "project", name)
    given = {"name": new_name, "description": description, "enabled": switch(enable=enable, disable=disable)}
    changes: dict[str, Any] = {member: value for member, value in given.items() if value is not None}
    refuse_nothing(changes)
    cloud.identify("PATCH", f"/projects/{project['id']}", {"project": changes})


@app.command("delete")
def delete(
    names: Annotated[list[str], typer.Argument(help="Names or ids.")],
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Delete projects, with their quotas and roles.  One that has servers or images in it is refused."""
    cloud = open_cloud(clouds_file, os_cloud)
    for project in [find(cloud, "project", name) for name in names]:
        cloud.identify("DELETE", f"/projects/{project['id']}")
