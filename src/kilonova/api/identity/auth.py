# SPDX-License-Identifier: Apache-2.0
"""Authentication: POST /v3/auth/tokens with a password, a token or an application credential."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.identity.domain import is_default_domain
from kilonova.api.identity.models import AuthRequest, CredentialMethod, PasswordMethod, ProjectRef, Scope, UserName
from kilonova.api.identity.routing import P
from kilonova.api.identity.tokens import TOKEN_REPLY, contents, valid
from kilonova.base.errors import InvalidInput, Overloaded, Unauthorized
from kilonova.db.readers import identity as readers
from kilonova.db.transaction import Snapshot
from kilonova.identity.roles import with_implied
from kilonova.identity.tokens import Claims, CredentialRef, Subject
from kilonova.identity.turns import Asker
from kilonova.objects.identity import ApplicationCredential, Project, Target, User

_WRONG = "The request you have made requires authentication."
# The same sentence for every reason, so that a caller cannot learn which part was wrong.

UNSCOPED = "unscoped"
METHODS = ("password", "token", "application_credential")


async def create_token(call: Call, body: AuthRequest) -> Reply:
    """Authenticate and issue a token, which is in the header X-Subject-Token."""
    identity, scope = body.auth.identity, body.auth.scope
    if isinstance(scope, str) and scope != UNSCOPED:
        raise InvalidInput("The scope is a project, the domain, the system or 'unscoped'.", path="auth.scope")
    if isinstance(scope, Scope) and [scope.project, scope.domain, scope.system].count(None) != 2:
        raise InvalidInput("The scope is exactly one of project, domain and system.", path="auth.scope")
    parent = None
    if identity.methods == ["password"] and identity.password is not None:
        user = await _by_password(call, identity.password)
        subject = await call.db.read(_scoped, user, scope)
    elif identity.methods == ["token"] and identity.token is not None:
        parent = await valid(call, identity.token.id)
        user = await call.db.read(_user_of, parent)
        subject = await call.db.read(_rescoped, user, scope, parent)
    elif identity.methods == ["application_credential"] and identity.application_credential is not None:
        user, credential = await _by_credential(call, identity.application_credential)
        if scope is not None:
            raise Unauthorized("Application credentials cannot request a scope.")
        subject = await call.db.read(_of_credential, user, credential)
    else:
        raise Unauthorized(f"Exactly one authentication method is supported per request, of {', '.join(METHODS)}.")
    text, claims = call.deps.tokens.mint(subject, tuple(identity.methods), parent, tokens_from=user.tokens_from)
    return TOKEN_REPLY.reply(await contents(call, claims), call, headers=(("X-Subject-Token", text),))


async def _by_password(call: Call, method: PasswordMethod) -> User:
    user = await call.db.read(_find_user, method.user)
    named = method.user.id or method.user.name or ""
    async with login_attempt(call, named, None if user is None else user.id) as asker:
        password_hash = None if user is None else user.password_hash
        matches = await call.deps.passwords.verify(password_hash, method.user.password, asker)
        if user is None or not matches or not user.enabled:
            raise Unauthorized(_WRONG)
    return user


@asynccontextmanager
async def login_attempt(call: Call, named: str, user_id: str | None) -> AsyncGenerator[Asker]:
    """Limit attempts while a password or a secret is verified.  If the block raises Unauthorized or Overloaded, that
    counts as a failed login of the named user."""
    asker = call.deps.login_limits.asker(call.peer, user_id or named)
    try:
        yield asker
    except (Unauthorized, Overloaded) as exc:
        await call.deps.login_limits.refused(asker, exc, user_id)
        raise
    call.deps.login_limits.succeeded(asker)


async def _by_credential(call: Call, method: CredentialMethod) -> tuple[User, ApplicationCredential]:
    user, credential = await call.db.read(_find_credential, method)
    secret_hash = None if credential is None else credential.secret_hash
    async with login_attempt(call, method.id or method.name or "", None if user is None else user.id) as asker:
        matches = await call.deps.passwords.verify(secret_hash, method.secret, asker)
        if user is None or credential is None or not matches or not user.enabled:
            raise Unauthorized(_WRONG)
        if credential.expires_at is not None and credential.expires_at <= call.deps.clock.now():
            raise Unauthorized(_WRONG)
    return user, credential


def own_turn(call: Call) -> Asker:
    """The queue key for hashing passwords on behalf of an authenticated user, independent of the client's address."""
    return Asker(f"user {call.context.user_id}", call.context.user_id)


def _find_credential(snapshot: Snapshot, method: CredentialMethod) -> tuple[User | None, ApplicationCredential | None]:
    if method.id is not None:
        credential = readers.find_credential(snapshot, credential_id=method.id)
        user = None if credential is None else readers.find_user(snapshot, user_id=credential.user_id)
        return user, credential
    user = None if method.user is None else _find_user(snapshot, method.user)
    if user is None or method.name is None:
        return None, None
    return user, readers.find_credential(snapshot, user_id=user.id, name=method.name)


def _find_user(snapshot: Snapshot, reference: UserName) -> User | None:
    if reference.id is not None:
        return readers.find_user(snapshot, user_id=reference.id)
    if reference.name is None or not is_default_domain(reference.domain):
        return None
    return readers.find_user(snapshot, name=reference.name)


def _user_of(snapshot: Snapshot, parent: Claims) -> User:
    user = readers.find_user(snapshot, user_id=parent.subject.user_id)
    if user is None or not user.enabled or user.tokens_from != parent.tokens_from:
        raise Unauthorized(_WRONG)
    return user


def _check_unchanged(snapshot: Snapshot, user: User) -> None:
    """Verifying a password takes time: raises Unauthorized if the user was disabled or changed meanwhile.

    This only makes the answer accurate: a change that comes later ends the token anyway.
    """
    now = readers.find_user(snapshot, user_id=user.id)
    if now is None or not now.enabled or now.tokens_from != user.tokens_from:
        raise Unauthorized(_WRONG)


def _scoped(snapshot: Snapshot, user: User, scope: Scope | str | None) -> Subject:
    """The user in the requested scope, or in the default project.  The token is unscoped if the user has no default
    project, or no role in it.  Raises Unauthorized."""
    _check_unchanged(snapshot, user)
    if scope is None and user.default_project_id is not None:
        default = readers.find_project(snapshot, project_id=user.default_project_id)
        return _in_project(snapshot, user, default) or _unscoped(user)
    if scope is None or isinstance(scope, str):
        return _unscoped(user)
    if scope.project is not None:
        return _must(_in_project(snapshot, user, _find_project(snapshot, scope.project)))
    if scope.domain is not None and not is_default_domain(scope.domain):
        raise Unauthorized(_WRONG)
    return _must(_beyond_projects(snapshot, user, Target.SYSTEM if scope.domain is None else Target.DOMAIN))


def _rescoped(snapshot: Snapshot, user: User, scope: Scope | str | None, parent: Claims) -> Subject:
    """The same for authentication by a token: without a scope, the token's own.  A token of an application credential
    keeps that credential's project and roles.  Raises Unauthorized."""
    subject = parent.subject
    if subject.credential is not None:
        requested = None if scope is None or isinstance(scope, str) else scope.project
        project = None if requested is None else _find_project(snapshot, requested)
        if scope is not None and (project is None or project.id != subject.project_id):
            raise Unauthorized("A token of an application credential keeps its project.")
        credential = readers.find_credential(snapshot, credential_id=subject.credential.id)
        return _must(None if credential is None else _of_credential(snapshot, user, credential))
    if scope is None and subject.project_id:
        return _must(_in_project(snapshot, user, readers.find_project(snapshot, project_id=subject.project_id)))
    if scope is None and subject.scope:
        return _must(_beyond_projects(snapshot, user, Target(subject.scope)))
    return _unscoped(user) if scope is None else _scoped(snapshot, user, scope)


def _of_credential(snapshot: Snapshot, user: User, credential: ApplicationCredential) -> Subject:
    """The user with the roles of the credential that the user still has.  Raises Unauthorized if no role is left."""
    _check_unchanged(snapshot, user)
    project = readers.find_project(snapshot, project_id=credential.project_id)
    return _must(_in_project(snapshot, user, project, credential))


def _in_project(
    snapshot: Snapshot, user: User, project: Project | None, credential: ApplicationCredential | None = None
) -> Subject | None:
    if project is None or not project.enabled:
        return None
    roles, reference = with_implied(readers.roles_of(snapshot, user.id, project.id)), None
    if credential is not None:
        roles = tuple(role for role in roles if role in credential.roles)
        reference = CredentialRef(credential.id, credential.name, restricted=not credential.unrestricted)
    return Subject(user.id, user.name, project.id, project.name, roles, reference) if roles else None


def _beyond_projects(snapshot: Snapshot, user: User, scope: Target) -> Subject | None:
    roles = with_implied(readers.roles_beyond_projects(snapshot, user.id, scope))
    return Subject(user.id, user.name, "", "", roles, scope=scope) if roles else None


def _unscoped(user: User) -> Subject:
    return Subject(user.id, user.name, "", "", ())


def _must(subject: Subject | None) -> Subject:
    if subject is None:
        raise Unauthorized(_WRONG)
    return subject


def _find_project(snapshot: Snapshot, reference: ProjectRef) -> Project | None:
    if reference.id is not None:
        return readers.find_project(snapshot, project_id=reference.id)
    if reference.name is None or not is_default_domain(reference.domain):
        return None
    return readers.find_project(snapshot, name=reference.name)


ROUTES = (
    Route(
        "POST",
        "/auth/tokens",
        create_token,
        P + "authenticate",
        DefaultPolicy.ANYBODY,
        201,
        TOKEN_REPLY,
        AuthRequest,
        note="the header X-Subject-Token has the token",
    ),
)
