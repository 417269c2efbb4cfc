# SPDX-License-Identifier: Apache-2.0
"""Projects and their tags: an administrator sees all, others those in which they have a role."""

from collections.abc import Iterable
from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.identity.domain import DOMAIN, check_domain, check_id, collection, refuse_unkept
from kilonova.api.identity.filters import matching
from kilonova.api.identity.models import CreateProject, ProjectFields, ReplaceTags, UpdateProject
from kilonova.api.identity.token_cache import edited
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.base.unset import UNSET, unset_if_none
from kilonova.db.readers import identity as readers
from kilonova.objects.identity import Project
from kilonova.rpcapi import api_to_conductor_identity as methods

EVERY_PROJECT = "identity:list_projects:every_project"
"""The rule that says who sees the projects in which he has no role, too."""


async def list_projects(call: Call) -> Reply:
    """GET /v3/projects."""
    mine = None if call.may(EVERY_PROJECT) else call.context.user_id
    return _listed(call, await call.db.read(readers.list_projects, mine))


async def list_projects_of_user(call: Call) -> Reply:
    """GET /v3/users/{id}/projects."""
    await call.db.read(readers.get_user, call.params["user_id"])
    return _listed(call, await call.db.read(readers.list_projects, call.params["user_id"]))


def _listed(call: Call, projects: Iterable[Project]) -> Reply:
    shown = [project_view(call, project) for project in projects]
    return collection(call, "projects", matching(call.query, shown))


async def show_project(call: Call) -> Reply:
    """GET /v3/projects/{id}: by id only; a name is 404."""
    project = await call.db.read(readers.get_project, call.params["project_id"])
    return json_reply({"project": project_view(call, project)})


async def create_project(call: Call, body: CreateProject) -> Reply:
    """POST /v3/projects."""
    asked = body.project
    _check(asked, None)
    project = Project(
        id=call.deps.clock.new_id().replace("-", ""),
        name=asked.name,
        description=asked.description or "",
        enabled=asked.enabled is not False,
        tags=tuple(sorted(set(asked.tags or ()))),
        extra=asked.attributes("project"),
    )
    await edited(call, call.deps.rpc.call(methods.CREATE_PROJECT, methods.CreateProject(project)))
    return json_reply({"project": project_view(call, project)})


async def update_project(call: Call, body: UpdateProject) -> Reply:
    """PATCH /v3/projects/{id}.  Tokens for a project that is disabled stop working."""
    asked, project_id = body.project, call.params["project_id"]
    _check(asked, project_id)
    request = methods.UpdateProject(
        project_id,
        name=unset_if_none(asked.name),
        description=unset_if_none(asked.description),
        enabled=unset_if_none(asked.enabled),
        extra=asked.attributes("project") or UNSET,
        tags=UNSET if asked.tags is None else tuple(asked.tags),
    )
    await edited(call, call.deps.rpc.call(methods.UPDATE_PROJECT, request))
    return await show_project(call)


async def delete_project(call: Call) -> Reply:
    """DELETE /v3/projects/{id}: 409 that says what is in it, while anything is."""
    project = await call.db.read(readers.get_project, call.params["project_id"])
    await edited(call, call.deps.rpc.call(methods.DELETE_PROJECT, methods.DeleteProject(project.id)))
    return Reply()


async def list_tags(call: Call) -> Reply:
    """GET /v3/projects/{id}/tags."""
    project = await call.db.read(readers.get_project, call.params["project_id"])
    links = {"self": call.links.to(call.path), "previous": None, "next": None}
    return json_reply({"tags": list(project.tags), "links": links})


async def replace_tags(call: Call, body: ReplaceTags) -> Reply:
    """PUT /v3/projects/{id}/tags."""
    request = methods.UpdateProject(call.params["project_id"], tags=tuple(body.tags))
    await edited(call, call.deps.rpc.call(methods.UPDATE_PROJECT, request))
    return await list_tags(call)


async def delete_tags(call: Call) -> Reply:
    """DELETE /v3/projects/{id}/tags."""
    await edited(
        call, call.deps.rpc.call(methods.UPDATE_PROJECT, methods.UpdateProject(call.params["project_id"], tags=()))
    )
    return Reply()


async def check_tag(call: Call) -> Reply:
    """GET and HEAD /v3/projects/{id}/tags/{tag}: 204, or 404."""
    project = await call.db.read(readers.get_project, call.params["project_id"])
    if call.params["tag"] not in project.tags:
        raise NotFound(f"Could not find project tag: {call.params['tag'][:255]}.")
    return Reply()


async def add_tag(call: Call) -> Reply:
    """PUT of the same."""
    tag = call.params["tag"]
    if len(tag) > 255 or "," in tag:
        raise InvalidInput("A tag has 1 to 255 characters, and no comma or slash among them.", path="tag")
    await call.deps.rpc.call(methods.EDIT_PROJECT_TAG, methods.EditTags(call.params["project_id"], tag, there=True))
    return Reply()


async def delete_tag(call: Call) -> Reply:
    """DELETE of the same."""
    await check_tag(call)
    await call.deps.rpc.call(
        methods.EDIT_PROJECT_TAG, methods.EditTags(call.params["project_id"], call.params["tag"], there=False)
    )
    return Reply()


def _check(asked: ProjectFields, project_id: str | None) -> None:
    check_id("project", asked.id, project_id)
    check_domain(asked.domain_id)
    if asked.parent_id not in (None, DOMAIN["id"]):
        message = f"Projects are not nested here: the parent of all is {DOMAIN['id']}."
        raise InvalidInput(message, path="project.parent_id")
    refuse_unkept("project", is_domain=asked.is_domain, options=asked.options)


def project_view(call: Call, project: Project) -> dict[str, Any]:
    """A project as Identity shows it."""
    return {
        **project.extra,
        "id": project.id,
        "name": project.name,
        "domain_id": DOMAIN["id"],
        "parent_id": DOMAIN["id"],
        "description": project.description,
        "enabled": project.enabled,
        "is_domain": False,
        "tags": list(project.tags),
        "options": {},
        "links": {"self": call.links.to(f"/projects/{project.id}")},
    }
