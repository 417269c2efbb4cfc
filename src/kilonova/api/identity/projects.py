# SPDX-License-Identifier: Apache-2.0
"""Projects: an administrator sees all, others those in which they have a role."""

from collections.abc import Iterable
from typing import Any

from kilonova.api.call import Call, Reply, json_reply
from kilonova.api.identity.domain import DOMAIN, check_domain, collection, in_domain, refuse_unkept
from kilonova.api.identity.edit import edited
from kilonova.api.identity.models import CreateProject, ProjectFields, UpdateProject
from kilonova.api.policy import ADMIN_REQUIRED
from kilonova.base.errors import InvalidInput
from kilonova.db.readers import identity as readers
from kilonova.objects.identity import Project
from kilonova.rpcapi import identity as rows


async def list_projects(call: Call) -> Reply:
    """GET /v3/projects."""
    mine = None if call.may(ADMIN_REQUIRED) else call.context.user_id
    return _listed(call, await call.db.read(readers.list_projects, mine))


async def list_projects_of_user(call: Call) -> Reply:
    """GET /v3/users/{id}/projects."""
    await call.db.read(readers.get_user, call.params["user_id"])
    return _listed(call, await call.db.read(readers.list_projects, call.params["user_id"]))


def _listed(call: Call, projects: Iterable[Project]) -> Reply:
    name, enabled = call.query.text("name"), call.query.boolean("enabled")
    found = [
        project_view(call, project)
        for project in projects
        if name in (None, project.name) and enabled in (None, project.enabled) and in_domain(call)
    ]
    return collection(call, "projects", found)


async def show_project(call: Call) -> Reply:
    """GET /v3/projects/{id}: by id only; a name is 404."""
    project = await call.db.read(readers.get_project, call.params["project_id"])
    return json_reply({"project": project_view(call, project)})


async def create_project(call: Call, body: CreateProject) -> Reply:
    """POST /v3/projects."""
    asked = body.project
    _check(asked)
    project = Project(
        id=call.deps.clock.new_id().replace("-", ""),
        name=asked.name,
        description=asked.description or "",
        enabled=asked.enabled is not False,
    )
    await edited(call, call.deps.identity.create_project(project))
    return json_reply({"project": project_view(call, project)})


async def update_project(call: Call, body: UpdateProject) -> Reply:
    """PATCH /v3/projects/{id}.  Tokens for a project that is disabled stop working."""
    asked, project_id = body.project, call.params["project_id"]
    _check(asked)
    request = rows.UpdateProject(project_id, asked.name, asked.description, asked.enabled)
    await edited(call, call.deps.identity.update_project(request))
    return await show_project(call)


async def delete_project(call: Call) -> Reply:
    """DELETE /v3/projects/{id}: 409 that says what is in it, while anything is."""
    project = await call.db.read(readers.get_project, call.params["project_id"])
    await edited(call, call.deps.identity.delete_project(project.id))
    return Reply()


def _check(asked: ProjectFields) -> None:
    check_domain(asked.domain_id)
    if asked.parent_id not in (None, DOMAIN["id"]):
        message = f"Projects are not nested here: the parent of all is {DOMAIN['id']}."
        raise InvalidInput(message, path="project.parent_id")
    refuse_unkept("project", is_domain=asked.is_domain, tags=asked.tags, options=asked.options)


def project_view(call: Call, project: Project) -> dict[str, Any]:
    """A project as Identity shows it."""
    return {
        "id": project.id,
        "name": project.name,
        "domain_id": DOMAIN["id"],
        "parent_id": DOMAIN["id"],
        "description": project.description,
        "enabled": project.enabled,
        "is_domain": False,
        "tags": [],
        "options": {},
        "links": {"self": call.links.to(f"/projects/{project.id}")},
    }
