# SPDX-License-Identifier: Apache-2.0
"""Users and projects of a running cloud, for tests."""

from dataclasses import replace
from typing import Any

import httpx

from tests.service.api import Api

DOMAIN = {"id": "default"}


async def identity(api: Api, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    """A call of Identity that is answered so."""
    reply = await api.call(method, f"/identity/v3{path}", **({} if body is None else {"json": body}))
    assert reply.status_code == status, reply.text
    return reply.json() if reply.content else None


async def project(api: Api, name: str) -> str:
    return (await identity(api, "POST", "/projects", {"project": {"name": name}}, 201))["project"]["id"]


async def user(api: Api, name: str, **fields: Any) -> str:
    """One whose password is "password of NAME"."""
    asked = {"name": name, "password": f"password of {name}", **fields}
    return (await identity(api, "POST", "/users", {"user": asked}, 201))["user"]["id"]


async def role_id(api: Api, role: str) -> str:
    (found,) = (await identity(api, "GET", f"/roles?name={role}"))["roles"]
    return found["id"]


async def grant(api: Api, project_id: str, user_id: str, role: str, method: str = "PUT", status: int = 204) -> Any:
    path = f"/projects/{project_id}/users/{user_id}/roles/{await role_id(api, role)}"
    return await identity(api, method, path, status=status)


async def ask(api: Api, method: str, said: Any, scope: Any = None) -> httpx.Response:
    """POST /auth/tokens by one method."""
    wanted = {"identity": {"methods": [method], method: said}, **({} if scope is None else {"scope": scope})}
    return await api.cloud.http.post("/identity/v3/auth/tokens", json={"auth": wanted})


async def by_password(
    api: Api, name: str, project_id: str | None = None, password: str | None = None
) -> httpx.Response:
    said = {"user": {"name": name, "domain": DOMAIN, "password": password or f"password of {name}"}}
    return await ask(api, "password", said, None if project_id is None else {"project": {"id": project_id}})


async def as_user(api: Api, name: str, project_id: str | None = None, password: str | None = None) -> Api:
    """The user, logged in."""
    reply = await by_password(api, name, project_id, password)
    assert reply.status_code == 201, reply.text
    return replace(api, token=reply.headers["X-Subject-Token"])


async def member(api: Api, name: str, *roles: str) -> tuple[Api, str, str]:
    """A new user with roles in a new project: logged in there, with both ids."""
    project_id, user_id = await project(api, f"project of {name}"), await user(api, name)
    for role in roles or ("member",):
        await grant(api, project_id, user_id, role)
    return await as_user(api, name, project_id), user_id, project_id
