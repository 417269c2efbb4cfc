# SPDX-License-Identifier: Apache-2.0
"""Users and their passwords."""

from typing import Any

from kilonova.api.http.call import Call, Reply, json_reply
from kilonova.api.identity.auth import checking, own_turn
from kilonova.api.identity.domain import DOMAIN, check_domain, check_id, collection, refuse_unkept
from kilonova.api.identity.filters import matching
from kilonova.api.identity.models import ChangePassword, CreateUser, UpdateUser, UserFields
from kilonova.api.identity.token_cache import edited
from kilonova.base.errors import Unauthorized
from kilonova.base.unset import UNSET, Unset, unset_if_none
from kilonova.db.readers import identity as readers
from kilonova.objects.identity import User
from kilonova.rpcapi import api_to_conductor_identity as methods


async def list_users(call: Call) -> Reply:
    """GET /v3/users."""
    users = await call.db.read(readers.list_users)
    return collection(call, "users", matching(call.query, [view(call, user) for user in users]))


async def show_user(call: Call) -> Reply:
    """GET /v3/users/{id}: by id only; a name is 404."""
    user = await call.db.read(readers.get_user, call.params["user_id"])
    return json_reply({"user": view(call, user)})


async def create_user(call: Call, body: CreateUser) -> Reply:
    """POST /v3/users.  One without a password cannot log in until an administrator sets one."""
    asked = body.user
    await _check(call, asked, None)
    user = User(
        id=call.deps.clock.new_id().replace("-", ""),
        name=asked.name,
        password_hash="" if asked.password is None else await call.deps.passwords.hash(asked.password, own_turn(call)),
        default_project_id=asked.default_project_id or None,
        description=asked.description or "",
        enabled=asked.enabled is not False,
        email=asked.email or None,
        extra=asked.attributes("user"),
    )
    await edited(call, call.deps.rpc.call(methods.CREATE_USER, methods.CreateUser(user)))
    return json_reply({"user": view(call, user)})


async def update_user(call: Call, body: UpdateUser) -> Reply:
    """PATCH /v3/users/{id}: an administrator's word, also a new password.  A new one, or a disabling, ends the user's
    tokens."""
    asked = body.user
    user = await call.db.read(readers.get_user, call.params["user_id"])
    await _check(call, asked, user.id)
    request = methods.UpdateUser(
        user_id=user.id,
        name=unset_if_none(asked.name),
        password_hash=UNSET
        if asked.password is None
        else await call.deps.passwords.hash(asked.password, own_turn(call)),
        default_project_id=_clearable(asked, "default_project_id"),
        description=unset_if_none(asked.description),
        enabled=unset_if_none(asked.enabled),
        email=_clearable(asked, "email"),
        extra=asked.attributes("user") or UNSET,
    )
    await edited(call, call.deps.rpc.call(methods.UPDATE_USER, request))
    return await show_user(call)


def _clearable(asked: UserFields, name: str) -> str | Unset | None:
    """A field that null, or the empty string, removes."""
    return (getattr(asked, name) or None) if name in asked.model_fields_set else UNSET


async def delete_user(call: Call) -> Reply:
    """DELETE /v3/users/{id}.  Servers belong to projects: they stay."""
    user = await call.db.read(readers.get_user, call.params["user_id"])
    await edited(call, call.deps.rpc.call(methods.DELETE_USER, methods.DeleteUser(user.id)))
    return Reply()


async def change_password(call: Call, body: ChangePassword) -> Reply:
    """POST /v3/users/{id}/password: by who knows the old one.  All tokens of the user end, this one among them."""
    user = await call.db.read(readers.get_user, call.params["user_id"])
    async with checking(call, user.id, user.id) as asker:
        if not await call.deps.passwords.verify(user.password_hash, body.user.original_password, asker):
            raise Unauthorized("The original password is wrong.")
    password_hash = await call.deps.passwords.hash(body.user.password, own_turn(call))
    request = methods.UpdateUser(user.id, password_hash=password_hash, old_hash=user.password_hash)
    await edited(call, call.deps.rpc.call(methods.UPDATE_USER, request))
    return Reply()


async def _check(call: Call, asked: UserFields, user_id: str | None) -> None:
    """Raises InvalidInput, NotFound (the default project)."""
    check_id("user", asked.id, user_id)
    check_domain(asked.domain_id)
    refuse_unkept("user", options=asked.options, federated=asked.federated)
    if asked.default_project_id:
        await call.db.read(readers.get_project, asked.default_project_id)


def view(call: Call, user: User) -> dict[str, Any]:
    """A user as Identity shows it."""
    shown: dict[str, Any] = {
        **user.extra,
        "id": user.id,
        "name": user.name,
        "domain_id": DOMAIN["id"],
        "description": user.description,
        "enabled": user.enabled,
        "password_expires_at": None,
        "options": {},
        "links": {"self": call.links.to(f"/users/{user.id}")},
    }
    for name in ("default_project_id", "email"):
        if (value := getattr(user, name)) is not None:
            shown[name] = value
    return shown
