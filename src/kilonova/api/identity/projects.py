# SPDX-License-Identifier: Apache-2.0
"""Projects and their tags.  Administrators see all projects, others those in which they have a role."""

from collections.abc import Iterable
from typing import Any

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import Route
from kilonova.api.http.views import Member, Others, View, one
from kilonova.api.identity.domain import (
    CollectionLinks,
    SelfLink,
    check_domain,
    check_id,
    collection,
    collection_links,
    refuse_unsupported,
)
from kilonova.api.identity.filters import matching
from kilonova.api.identity.models import CreateProject, ProjectFields, ReplaceTags, UpdateProject
from kilonova.api.identity.routing import (
    ADMIN,
    MY_PROJECT,
    MY_USER,
    OF_PROJECTS,
    PROJECT,
    TOKEN,
    USER,
    P,
    list_route,
)
from kilonova.api.identity.token_cache import apply_change
from kilonova.base.errors import InvalidInput, NotFound
from kilonova.base.unset import UNSET, unset_if_none
from kilonova.db.readers import identity as readers
from kilonova.objects.identity import DOMAIN_ID, Project
from kilonova.rpcapi import api_to_conductor_identity as methods

EVERY_PROJECT = "identity:list_projects:every_project"
"""The policy rule for listing projects in which the caller has no role."""


async def list_projects(call: Call) -> Reply:
    """List the projects in which the caller has a role.  Administrators see all projects."""
    mine = None if call.may(EVERY_PROJECT) else call.context.user_id
    return _listed(call, await call.db.read(readers.list_projects, mine))


async def list_projects_of_user(call: Call) -> Reply:
    """List the projects in which a user has a role."""
    await call.db.read(readers.get_user, call.params["user_id"])
    return _listed(call, await call.db.read(readers.list_projects, call.params["user_id"]))


def _listed(call: Call, projects: Iterable[Project]) -> Reply:
    return PROJECTS.reply(matching(call.query, [PROJECT_VIEW.show(project, call) for project in projects]), call)


async def show_project(call: Call) -> Reply:
    """Show a project by its id.  A name is 404."""
    project = await call.db.read(readers.get_project, call.params["project_id"])
    return _ONE.reply(project, call)


async def create_project(call: Call, body: CreateProject) -> Reply:
    """Create a project."""
    fields = body.project
    _check(fields, None)
    project = Project(
        id=call.deps.clock.new_id().replace("-", ""),
        name=fields.name,
        description=fields.description or "",
        enabled=fields.enabled is not False,
        tags=tuple(sorted(set(fields.tags or ()))),
        extra=fields.attributes("project"),
    )
    await apply_change(call, methods.CREATE_PROJECT, methods.CreateProject(project))
    return _ONE.reply(project, call)


async def update_project(call: Call, body: UpdateProject) -> Reply:
    """Update a project.  Tokens for a disabled project stop working."""
    fields, project_id = body.project, call.params["project_id"]
    _check(fields, project_id)
    request = methods.UpdateProject(
        project_id,
        name=unset_if_none(fields.name),
        description=unset_if_none(fields.description),
        enabled=unset_if_none(fields.enabled),
        extra=fields.attributes("project") or UNSET,
        tags=UNSET if fields.tags is None else tuple(fields.tags),
    )
    await apply_change(call, methods.UPDATE_PROJECT, request)
    return await show_project(call)


async def delete_project(call: Call) -> Reply:
    """Delete an empty project.  The 409 of a project that is not empty lists its resources."""
    project = await call.db.read(readers.get_project, call.params["project_id"])
    await apply_change(call, methods.DELETE_PROJECT, methods.DeleteProject(project.id))
    return Reply()


async def list_tags(call: Call) -> Reply:
    """List the tags of a project."""
    project = await call.db.read(readers.get_project, call.params["project_id"])
    return _TAGS.reply(project, call)


async def replace_tags(call: Call, body: ReplaceTags) -> Reply:
    """Replace the tags of a project."""
    request = methods.UpdateProject(call.params["project_id"], tags=tuple(body.tags))
    await apply_change(call, methods.UPDATE_PROJECT, request)
    return await list_tags(call)


async def delete_tags(call: Call) -> Reply:
    """Delete all tags of a project."""
    await apply_change(call, methods.UPDATE_PROJECT, methods.UpdateProject(call.params["project_id"], tags=()))
    return Reply()


async def check_tag(call: Call) -> Reply:
    """Check whether a project has a tag: 204, or 404."""
    project = await call.db.read(readers.get_project, call.params["project_id"])
    if call.params["tag"] not in project.tags:
        raise NotFound(f"Could not find project tag: {call.params['tag'][:255]}.")
    return Reply()


async def add_tag(call: Call) -> Reply:
    """Add a tag to a project."""
    tag = call.params["tag"]
    if len(tag) > 255 or "," in tag:
        raise InvalidInput("A tag has 1 to 255 characters, without commas and slashes.", path="tag")
    await call.deps.rpc.call(methods.EDIT_PROJECT_TAG, methods.EditTags(call.params["project_id"], tag, there=True))
    return Reply()


async def delete_tag(call: Call) -> Reply:
    """Delete a tag of a project."""
    await check_tag(call)
    request = methods.EditTags(call.params["project_id"], call.params["tag"], there=False)
    await call.deps.rpc.call(methods.EDIT_PROJECT_TAG, request)
    return Reply()


def _check(fields: ProjectFields, project_id: str | None) -> None:
    check_id("project", fields.id, project_id)
    check_domain(fields.domain_id)
    if fields.parent_id not in (None, DOMAIN_ID):
        message = f"Nested projects are not supported: the parent of every project is {DOMAIN_ID}."
        raise InvalidInput(message, path="project.parent_id")
    refuse_unsupported("project", is_domain=fields.is_domain, options=fields.options)


PROJECT_VIEW = View[Project, Call](
    "Project",
    Member("id", str, lambda project, _: project.id),
    Member("name", str, lambda project, _: project.name),
    Member("domain_id", str, lambda _, __: DOMAIN_ID),
    Member("parent_id", str, lambda _, __: DOMAIN_ID),
    Member("description", str, lambda project, _: project.description),
    Member("enabled", bool, lambda project, _: project.enabled),
    Member("is_domain", bool, lambda _, __: False),
    Member("tags", list[str], lambda project, _: list(project.tags)),
    Member("options", dict[str, Any], lambda _, __: {}),
    Member("links", SelfLink, lambda project, call: {"self": call.links.to(f"/projects/{project.id}")}),
    others=Others(Any, lambda project, _: project.extra),
)
PROJECTS = collection("projects", PROJECT_VIEW)
_ONE = one("project", PROJECT_VIEW)
_TAGS = View[Project, Call](
    "",
    Member("tags", list[str], lambda project, _: list(project.tags)),
    Member("links", CollectionLinks, lambda _, call: collection_links(call)),
)
_TAG = PROJECT + "/tags/{tag}"

ROUTES = (
    list_route("/projects", list_projects, "list_projects", TOKEN, PROJECTS, OF_PROJECTS),
    list_route(USER + "/projects", list_projects_of_user, "list_user_projects", MY_USER, PROJECTS, OF_PROJECTS),
    Route("POST", "/projects", create_project, P + "create_project", ADMIN, 201, _ONE, CreateProject),
    Route("GET", PROJECT, show_project, P + "get_project", MY_PROJECT, reply=_ONE),
    Route("PATCH", PROJECT, update_project, P + "update_project", ADMIN, reply=_ONE, body=UpdateProject),
    Route("DELETE", PROJECT, delete_project, P + "delete_project", ADMIN, 204),
    list_route(PROJECT + "/tags", list_tags, "list_project_tags", MY_PROJECT, _TAGS),
    Route("PUT", PROJECT + "/tags", replace_tags, P + "update_project_tags", ADMIN, reply=_TAGS, body=ReplaceTags),
    Route("DELETE", PROJECT + "/tags", delete_tags, P + "delete_project_tags", ADMIN, 204),
    Route("GET", _TAG, check_tag, P + "get_project_tag", MY_PROJECT, 204),
    Route("PUT", _TAG, add_tag, P + "create_project_tag", ADMIN, 201),
    Route("DELETE", _TAG, delete_tag, P + "delete_project_tag", ADMIN, 204),
)
