# SPDX-License-Identifier: Apache-2.0
"""Access by oslo.policy: the rules that the routes declare, and the policy file of the operator.

A decision depends on the rule, the caller's roles, user and project, and the user and project in the path.  It is made
once and cached.  It needs no other process.
"""

import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from kilonova.base.context import RequestContext
from kilonova.base.errors import ConfigError, Forbidden
from kilonova.config.oslo_policy import PolicySettings
from kilonova.objects.identity import DOMAIN_ID, SYSTEM_ID, Target

if TYPE_CHECKING:
    from oslo_policy.policy import Enforcer

log = structlog.get_logger(__name__)

CONTEXT_IS_ADMIN = "context_is_admin"
"""The rule for callers that may see and change resources of other projects."""
ADMIN_REQUIRED = "admin_required"
"""The rule for administrators of users, projects and roles."""

BASE: Mapping[str, str] = {
    CONTEXT_IS_ADMIN: "role:admin",
    ADMIN_REQUIRED: "role:admin",
    "system_reader": "role:reader and system_scope:all",
    "domain_reader": "role:reader and domain_id:default",
    "owner": "user_id:%(user_id)s",
    "project_member_api": "role:member and project_id:%(project_id)s",
    "project_reader_api": "role:reader and project_id:%(project_id)s",
    "project_member_or_admin": "rule:project_member_api or rule:context_is_admin",
    "project_reader_or_admin": "rule:project_reader_api or rule:context_is_admin",
}
"""The base rules, under the names of Nova and Keystone."""

REMEMBERED = 16384
_ROLE = re.compile(r"(?<![\w:])role:([^\s()%']+)")
_REMOTE = re.compile(r"(?<![\w:])https?:")

_Question = tuple[str, tuple[str, ...], str, str, str, str, str]


@dataclass(slots=True)
class _Rules:
    """The rules in force.  `own` has the rules of the policy file."""

    own: Mapping[str, str]
    enforcer: "Enforcer"
    decided: dict[_Question, bool] = field(default_factory=dict[_Question, bool])


class Policy:
    """`defaults`: check strings by rule.  The file, if there is one, is read now: raises ConfigError."""

    def __init__(self, defaults: Mapping[str, str], settings: PolicySettings) -> None:
        self._defaults = {**BASE, **defaults}
        # oslo.policy takes longer to import than most of a start: without a file see `prepare`.
        self._rules: _Rules | None = None
        if settings.policy_file is not None:
            self.reload(settings)

    def prepare(self) -> None:
        """Prepare the rules before the first request, which would do it otherwise.  Blocks for 0.1 s; thread-safe."""
        self._now()

    def reload(self, settings: PolicySettings) -> None:
        """Read the policy file again.  Raises ConfigError, and changes nothing, if the file is invalid."""
        own = {} if settings.policy_file is None else _read(settings, self._defaults)
        self._rules = _Rules(own, _enforcer(self._defaults, own))

    @property
    def in_force(self) -> Mapping[str, str]:
        """Every rule's check string.  The file may have rules that no route declares."""
        return {**self._defaults, **self._now().own}

    def roles(self) -> frozenset[str]:
        """The roles that the policy file names; a role exists if the file names it."""
        return frozenset(role for text in self._now().own.values() for role in _ROLE.findall(text))

    def permit(self, rule: str, context: RequestContext, params: Mapping[str, str]) -> None:
        """Raises Forbidden unless `allows`."""
        if not self.allows(rule, context, params):
            raise Forbidden(f"Policy doesn't allow {rule} to be performed.", rule=rule)

    def allows(self, rule: str, context: RequestContext, params: Mapping[str, str]) -> bool:
        """Whether `rule` allows the caller.  The target is the user and project of the path's `params`, or else the
        caller's own.  An undeclared rule allows no caller."""
        rules = self._now()
        user_id = params.get("user_id", context.user_id)
        project_id = params.get("project_id") or params.get("tenant_id") or context.project_id
        question = (rule, context.roles, context.user_id, context.project_id, user_id, project_id, context.scope)
        decision = rules.decided.get(question)
        if decision is None:
            if len(rules.decided) >= REMEMBERED:
                rules.decided.clear()
            decision = rules.decided[question] = _decide(rules.enforcer, question)
        return decision

    def _now(self) -> _Rules:
        if self._rules is None:
            rules = _Rules({}, _enforcer(self._defaults, {}))
            self._rules = self._rules or rules  # (a file may have been read meanwhile)
        return self._rules


def _decide(enforcer: "Enforcer", question: _Question) -> bool:
    rule, roles, own_user, own_project, user_id, project_id, scope = question
    target = {"user_id": user_id, "project_id": project_id}
    credentials: MutableMapping[str, Any] = {"user_id": own_user, "project_id": own_project, "roles": list(roles)}
    if scope:
        credentials |= {"system_scope": SYSTEM_ID} if scope == Target.SYSTEM else {"domain_id": DOMAIN_ID}
    return bool(enforcer.enforce(rule, target, credentials))


def _enforcer(defaults: Mapping[str, str], own: Mapping[str, str]) -> "Enforcer":
    from oslo_config import cfg
    from oslo_policy import policy

    enforcer = policy.Enforcer(cfg.ConfigOpts(), use_conf=False)
    enforcer.set_rules(policy.Rules.from_dict({**defaults, **own}))
    try:
        enforcer.check_rules(raise_on_violation=True)
    except policy.InvalidDefinitionError as exc:
        raise ConfigError(f"The policy file cannot be used: {exc}") from exc
    return enforcer


def _read(settings: PolicySettings, declared: Mapping[str, str]) -> Mapping[str, str]:
    """The rules of the file; each can be parsed and calls no other server."""
    from oslo_policy import policy

    path = settings.policy_file
    assert path is not None
    try:
        rules: Any = policy.parse_file_contents(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"The policy file {path} cannot be read: {' '.join(str(exc).split())}.") from exc
    if not isinstance(rules, dict) or not all(isinstance(x, str) for pair in rules.items() for x in pair):
        raise ConfigError(f"The policy file {path} must map names of rules to check strings.")
    for name, text in rules.items():
        # oslo.policy turns an invalid rule into "!", which denies every caller; here it is an error instead.
        if str(policy.RuleDefault(name, text).check) == "!" and text.strip() != "!":
            raise ConfigError(f"The policy file {path} has a rule that cannot be parsed: {name}.")
        if _REMOTE.search(text):
            raise ConfigError(f"The policy file {path} calls another server in {name}: that is not supported.")
    used = " ".join(rules.values())
    unknown = sorted(name for name in rules if name not in declared and f"rule:{name}" not in used)
    if unknown:
        log.warning("the policy file has rules that no route checks", rules=", ".join(unknown))
    return rules
