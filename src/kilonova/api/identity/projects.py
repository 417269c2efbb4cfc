# SPDX-License-Identifier: Apache-2.0
"""Projects: an administrator sees all, others the one that their token is for."""

from typing import Any

from kilonova.api.call import Call, Reply, json_reply
from kilonova.api.identity.catalog import DOMAIN
from kilonova.base.errors import Forbidden, NotFound
from kilonova.db.readers import identity as readers
from kilonova.db.readers.identity import Project


async def list_projects(call: Call) -> Reply:
    """GET /v3/projects."""
    projects = await call.db.read(readers.list_projects)
    name = call.query.text("name")
    found = [
        _project(call, project)
        for project in projects
        if _is_visible(call, project.id) and (name is None or project.name == name) and _in_domain(call)
    ]
    links = {"self": call.links.to("/projects"), "previous": None, "next": None}
    return json_reply({"projects": found, "links": links})


async def show_project(call: Call) -> Reply:
    """GET /v3/projects/{id}: by id only; a name is 404."""
    project_id = call.params["project_id"]
    project = await call.db.read(_find, project_id)
    if not _is_visible(call, project_id):
        raise Forbidden("You are not authorized to perform the requested action: identity:get_project.")
    if project is None:
        raise NotFound(f"Could not find project: {project_id}.")
    return json_reply({"project": _project(call, project)})


def _find(connection: Any, project_id: str) -> Project | None:
    return readers.find_project(connection, project_id=project_id)


def _is_visible(call: Call, project_id: str) -> bool:
    return call.context.is_admin or call.context.project_id == project_id


def _in_domain(call: Call) -> bool:
    return call.query.text("domain_id") in (None, DOMAIN["id"])


def _project(call: Call, project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "domain_id": DOMAIN["id"],
        "parent_id": DOMAIN["id"],
        "description": "",
        "enabled": True,
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": call.links.to(f"/projects/{project.id}")},
    }
