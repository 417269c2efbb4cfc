# SPDX-License-Identifier: Apache-2.0
"""Users and their passwords."""

from typing import Any

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import Route
from kilonova.api.http.views import Member, Others, View, one
from kilonova.api.identity.auth import login_attempt, own_turn
from kilonova.api.identity.domain import SelfLink, check_domain, check_id, collection, present, refuse_unsupported
from kilonova.api.identity.filters import matching
from kilonova.api.identity.models import ChangePassword, CreateUser, UpdateUser, UserFields
from kilonova.api.identity.routing import ADMIN, DOMAIN, MY_USER, OF_USERS, OWNER, USER, P, list_route
from kilonova.api.identity.token_cache import apply_change
from kilonova.base.errors import Unauthorized
from kilonova.base.unset import UNSET, Unset, unset_if_none
from kilonova.db.readers import identity as readers
from kilonova.objects.identity import DOMAIN_ID, User
from kilonova.rpcapi import api_to_conductor_identity as methods


async def list_users(call: Call) -> Reply:
    """List users."""
    users = await call.db.read(readers.list_users)
    return USERS.reply(matching(call.query, [USER_VIEW.show(user, call) for user in users]), call)


async def show_user(call: Call) -> Reply:
    """Show a user by its id.  A name is 404."""
    user = await call.db.read(readers.get_user, call.params["user_id"])
    return _ONE.reply(user, call)


async def create_user(call: Call, body: CreateUser) -> Reply:
    """Create a user.  A user without a password cannot authenticate until an administrator sets one."""
    fields = body.user
    await _check(call, fields, None)
    hashed = "" if fields.password is None else await call.deps.passwords.hash(fields.password, own_turn(call))
    user = User(
        id=call.deps.clock.new_id().replace("-", ""),
        name=fields.name,
        password_hash=hashed,
        default_project_id=fields.default_project_id or None,
        description=fields.description or "",
        enabled=fields.enabled is not False,
        email=fields.email or None,
        extra=fields.attributes("user"),
    )
    await apply_change(call, methods.CREATE_USER, methods.CreateUser(user))
    return _ONE.reply(user, call)


async def update_user(call: Call, body: UpdateUser) -> Reply:
    """Update a user, including the password.  A new password, and disabling the user, end all tokens of the user."""
    fields = body.user
    user = await call.db.read(readers.get_user, call.params["user_id"])
    await _check(call, fields, user.id)
    request = methods.UpdateUser(
        user_id=user.id,
        name=unset_if_none(fields.name),
        password_hash=UNSET
        if fields.password is None
        else await call.deps.passwords.hash(fields.password, own_turn(call)),
        default_project_id=_clearable(fields, "default_project_id"),
        description=unset_if_none(fields.description),
        enabled=unset_if_none(fields.enabled),
        email=_clearable(fields, "email"),
        extra=fields.attributes("user") or UNSET,
    )
    await apply_change(call, methods.UPDATE_USER, request)
    return await show_user(call)


def _clearable(fields: UserFields, name: str) -> str | Unset | None:
    """A field that null, or the empty string, removes."""
    return (getattr(fields, name) or None) if name in fields.model_fields_set else UNSET


async def delete_user(call: Call) -> Reply:
    """Delete a user.  Servers remain: they belong to projects."""
    user = await call.db.read(readers.get_user, call.params["user_id"])
    await apply_change(call, methods.DELETE_USER, methods.DeleteUser(user.id))
    return Reply()


async def change_password(call: Call, body: ChangePassword) -> Reply:
    """Change a user's password with the original one.  All tokens of the user end, including the caller's."""
    user = await call.db.read(readers.get_user, call.params["user_id"])
    async with login_attempt(call, user.id, user.id) as asker:
        if not await call.deps.passwords.verify(user.password_hash, body.user.original_password, asker):
            raise Unauthorized("The original password is wrong.")
    password_hash = await call.deps.passwords.hash(body.user.password, own_turn(call))
    request = methods.UpdateUser(user.id, password_hash=password_hash, old_hash=user.password_hash)
    await apply_change(call, methods.UPDATE_USER, request)
    return Reply()


async def _check(call: Call, fields: UserFields, user_id: str | None) -> None:
    """Raises InvalidInput, NotFound (the default project)."""
    check_id("user", fields.id, user_id)
    check_domain(fields.domain_id)
    refuse_unsupported("user", options=fields.options, federated=fields.federated)
    if fields.default_project_id:
        await call.db.read(readers.get_project, fields.default_project_id)


USER_VIEW = View[User, Call](
    "User",
    Member("id", str, lambda user, _: user.id),
    Member("name", str, lambda user, _: user.name),
    Member("domain_id", str, lambda _, __: DOMAIN_ID),
    Member("description", str, lambda user, _: user.description),
    Member("enabled", bool, lambda user, _: user.enabled),
    Member("password_expires_at", None, lambda _, __: None),
    Member("options", dict[str, Any], lambda _, __: {}),
    Member("links", SelfLink, lambda user, call: {"self": call.links.to(f"/users/{user.id}")}),
    Member("default_project_id", str, lambda user, _: present(user.default_project_id), optional=True),
    Member("email", str, lambda user, _: present(user.email), optional=True),
    others=Others(Any, lambda user, _: user.extra),
)
USERS = collection("users", USER_VIEW)
_ONE = one("user", USER_VIEW)

ROUTES = (
    list_route("/users", list_users, "list_users", DOMAIN, USERS, OF_USERS),
    Route("POST", "/users", create_user, P + "create_user", ADMIN, 201, _ONE, CreateUser),
    Route("GET", USER, show_user, P + "get_user", MY_USER, reply=_ONE),
    Route("PATCH", USER, update_user, P + "update_user", ADMIN, reply=_ONE, body=UpdateUser),
    Route("DELETE", USER, delete_user, P + "delete_user", ADMIN, 204),
    Route("POST", USER + "/password", change_password, P + "change_password", OWNER, 204, body=ChangePassword),
)
