# SPDX-License-Identifier: Apache-2.0
"""Policy: defaults, an operator's file, and what cannot be one."""

from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.api.http.policy import BASE, REMEMBERED, Policy
from kilonova.api.http.route import DefaultPolicy, Route, Service
from kilonova.api.rules import RULES, checked_rules, markdown, sample
from kilonova.base.context import RequestContext
from kilonova.base.errors import ConfigError, Forbidden
from kilonova.config.oslo_policy import PolicySettings
from kilonova.identity.roles import with_implied
from tests.unit.api.test_route import nothing

LIST_SERVICES = "os_compute_api:os-services:list"
SHOW, DELETE = "os_compute_api:servers:show", "os_compute_api:servers:delete"


def caller(*roles: str) -> RequestContext:
    return RequestContext("req-1", "u1", "p1", with_implied(roles))


def policy_of(tmp_path: Path, text: str) -> Policy:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return Policy(RULES, PolicySettings(path))


@pytest.mark.parametrize(
    ("roles", "passes"),
    [
        ((), {DefaultPolicy.TOKEN}),
        (("gardener",), {DefaultPolicy.TOKEN}),
        (("reader",), {DefaultPolicy.TOKEN, DefaultPolicy.READER, DefaultPolicy.PROJECT_READER}),
        (("member",), {DefaultPolicy.TOKEN, DefaultPolicy.READER, DefaultPolicy.PROJECT_READER, DefaultPolicy.MEMBER}),
        (("admin",), set(DefaultPolicy) - {DefaultPolicy.ANYBODY}),
    ],
)
def test_roles_pass_their_own_defaults_and_those_below(roles: tuple[str, ...], passes: set[DefaultPolicy]) -> None:
    policy = Policy({role.name: role.value for role in DefaultPolicy}, PolicySettings(None))
    elsewhere = {"user_id": "u2"}
    assert {role for role in DefaultPolicy if role and policy.allows(role.name, caller(*roles), elsewhere)} == passes


@pytest.mark.parametrize("roles", [("reader",), ("member",), ("gardener",), ("admin",)])
@pytest.mark.parametrize("scope", ["system", "domain"])
def test_a_role_beyond_projects_looks_at_users_and_opens_no_project(scope: str, roles: tuple[str, ...]) -> None:
    policy = Policy({role.name: role.value for role in DefaultPolicy}, PolicySettings(None))
    one = replace(caller(*roles), project_id="", scope=scope)
    elsewhere = {"user_id": "u2", "project_id": "p2"}
    passed = {role for role in DefaultPolicy if role and policy.allows(role.name, one, elsewhere)}
    looks = {DefaultPolicy.DOMAIN_READER, DefaultPolicy.USER_READER, DefaultPolicy.PROJECT_READER}
    looks |= {DefaultPolicy.SYSTEM_READER} if scope == "system" else set()
    if roles == ("admin",):
        assert passed == set(DefaultPolicy) - {DefaultPolicy.ANYBODY}
    else:
        assert passed == {DefaultPolicy.TOKEN, *(looks if roles != ("gardener",) else ())}


def test_an_owner_is_who_the_path_names_and_a_project_the_one_that_it_names() -> None:
    policy = Policy(RULES, PolicySettings(None))
    member = caller("member")
    assert policy.allows("identity:get_user", member, {"user_id": "u1"})
    assert not policy.allows("identity:get_user", member, {"user_id": "u2"})
    assert policy.allows("identity:get_project", member, {"project_id": "p1"})
    assert not policy.allows("identity:get_project", member, {"project_id": "p2"})
    assert not policy.allows("identity:get_project", member, {"tenant_id": "p2"})
    assert policy.allows("identity:get_project", caller("admin"), {"project_id": "p2"})


def test_a_rule_that_nobody_declared_allows_nobody() -> None:
    with pytest.raises(Forbidden, match="Policy doesn't allow no:such to be performed"):
        Policy(RULES, PolicySettings(None)).permit("no:such", caller("admin"), {})


def test_a_file_replaces_what_it_names_and_makes_roles(tmp_path: Path) -> None:
    policy = policy_of(
        tmp_path,
        f'"operators": "role:operator or role:Chief"\n"{LIST_SERVICES}": "rule:operators or rule:context_is_admin"\n'
        f'"{DELETE}": "rule:context_is_admin"\n',
    )
    assert policy.roles() == {"operator", "Chief"}
    assert policy.allows(LIST_SERVICES, caller("operator"), {})
    assert not policy.allows("os_compute_api:os-services:update", caller("operator"), {})
    assert policy.allows(SHOW, caller("member"), {})
    assert not policy.allows(DELETE, caller("member"), {})
    assert policy.allows(DELETE, caller("admin"), {})
    assert policy.in_force[DELETE] == "rule:context_is_admin"
    assert policy.in_force[SHOW] == RULES[SHOW]


def test_a_file_read_again_holds_at_once_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    policy = policy_of(tmp_path, f'"{SHOW}": "!"')
    assert not policy.allows(SHOW, caller("admin"), {})
    path = tmp_path / "policy.yaml"
    path.write_text(f'"{SHOW}": "role:reader"')
    policy.reload(PolicySettings(path))
    assert policy.allows(SHOW, caller("reader"), {})
    path.write_text("[")
    with pytest.raises(ConfigError):
        policy.reload(PolicySettings(path))
    assert policy.allows(SHOW, caller("reader"), {})
    policy.reload(PolicySettings(None))
    assert policy.in_force == {**BASE, **RULES}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "cannot be read"),
        ("- a\n- b\n", "must map"),
        ('"x": 1\n', "must map"),
        (f'"{SHOW}": "role:reader andd role:x"\n', f"cannot be parsed: {SHOW}"),
        (f'"{SHOW}": "rule:not_there"\n', "not_there|" + SHOW),
        ('"a": "rule:b"\n"b": "rule:a"\n', "cannot be used"),
        (f'"{SHOW}": "http://elsewhere/check"\n', "calls another server"),
        (f'"{SHOW}": "role:x or https://elsewhere/check"\n', "calls another server"),
    ],
)
def test_files_that_cannot_be_used_are_told_in_one_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        policy_of(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        Policy(RULES, PolicySettings(tmp_path / "none.yaml"))


def test_a_decision_is_made_once_and_only_so_many_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy({"own": "user_id:%(user_id)s"}, PolicySettings(None))
    enforcer = policy._now().enforcer  # pyright: ignore[reportPrivateUsage]
    asked: list[str] = []
    monkeypatch.setattr(enforcer, "enforce", lambda rule, target, _creds: asked.append(target["user_id"]) or True)
    for _ in range(3):
        policy.permit("own", caller(), {"user_id": "u9", "server_id": "not asked for"})
    assert asked == ["u9"]
    for number in range(REMEMBERED + 10):
        policy.permit("own", caller(), {"user_id": f"n{number}"})
    assert len(policy._now().decided) <= REMEMBERED  # pyright: ignore[reportPrivateUsage]


def test_two_routes_of_one_rule_agree() -> None:
    one, other = (
        Route("GET", "/a", nothing, "r", DefaultPolicy.READER),
        Route("GET", "/b", nothing, "r", DefaultPolicy.ADMIN),
    )
    with pytest.raises(ValueError, match="r has two defaults: READER and ADMIN"):
        checked_rules((Service("/s", (one, other)),))


def test_the_sample_changes_nothing_until_it_is_uncommented(tmp_path: Path) -> None:
    assert policy_of(tmp_path, sample()).in_force == {**BASE, **RULES}
    bare = "\n".join(line.removeprefix("#") for line in sample().splitlines() if line.startswith('#"'))
    assert policy_of(tmp_path, bare).in_force == {**BASE, **RULES}
    for rule in RULES:
        assert f"`{rule}`" in markdown()
