# SPDX-License-Identifier: Apache-2.0
"""Every policy rule that a route checks, with its default.  docs/policy.md and the sample file are made from it."""

from collections.abc import Iterable, Mapping

from kilonova.api.compute.servers.destination import FORCED_HOST, REQUESTED_DESTINATION
from kilonova.api.http.policy import BASE
from kilonova.api.http.route import DefaultPolicy, Service
from kilonova.api.identity.projects import EVERY_PROJECT
from kilonova.api.routes import SERVICES
from kilonova.api.ui import capacity, doctor
from kilonova.api.ui.notifications import RULE as NOTIFICATIONS
from kilonova.api.ui.permissions import RULE as PERMISSIONS
from kilonova.api.ui.sampler import RULE as FIGURES
from kilonova.api.ui.why import RULE as WHY

FINER: Mapping[str, tuple[DefaultPolicy, str]] = {
    "os_compute_api:servers:index:get_all_tenants": (DefaultPolicy.ADMIN, "GET /compute/v2.1/servers?all_tenants"),
    "os_compute_api:servers:detail:get_all_tenants": (
        DefaultPolicy.ADMIN,
        "GET /compute/v2.1/servers/detail?all_tenants",
    ),
    REQUESTED_DESTINATION: (
        DefaultPolicy.ADMIN,
        "POST /compute/v2.1/servers with a host or hypervisor_hostname",
    ),
    FORCED_HOST: (DefaultPolicy.ADMIN, "POST /compute/v2.1/servers with the availability zone ZONE:HOST"),
    "os_compute_api:limits:other_project": (DefaultPolicy.ADMIN, "GET /compute/v2.1/limits?tenant_id"),
    "os_compute_api:os-server-groups:index:all_projects": (
        DefaultPolicy.ADMIN,
        "GET /compute/v2.1/os-server-groups?all_projects",
    ),
    EVERY_PROJECT: (DefaultPolicy.DOMAIN_READER, "GET /identity/v3/projects, of projects in which one has no role"),
    FIGURES: (DefaultPolicy.READER, "GET /ui/api/servers/{server_id}/figures"),
    WHY: (DefaultPolicy.READER, "GET /ui/api/servers/{server_id}/why"),
    capacity.RULE: (DefaultPolicy.ADMIN, "GET /ui/api/hosts"),
    doctor.HOST_RULE: (DefaultPolicy.ADMIN, "GET /ui/api/hosts/{host}/doctor"),
    doctor.RULE: (DefaultPolicy.ADMIN, "GET /ui/api/doctor"),
    NOTIFICATIONS: (DefaultPolicy.ADMIN, "GET /ui/api/notifications"),
    PERMISSIONS: (DefaultPolicy.IDENTITY_ADMIN, "GET /ui/api/roles/{role_id}/permissions"),
    "publicize_image": (DefaultPolicy.ADMIN, "an image that is made public"),
    "communitize_image": (DefaultPolicy.MEMBER, "an image that is opened to the community"),
}
"""Rules that handlers check, because they depend on more than the path."""


def checked_rules(services: Iterable[Service] = SERVICES) -> Mapping[str, tuple[DefaultPolicy, tuple[str, ...]]]:
    """The default of each rule, and the requests that check it ("GET /compute/v2.1/servers").  Raises ValueError when
    two routes that share a rule differ in its default: one line of a policy file could not replace both."""
    found: dict[str, tuple[DefaultPolicy, tuple[str, ...]]] = {}

    def add(rule: str, role: DefaultPolicy, check: str) -> None:
        known, checks = found.get(rule, (role, ()))
        if known is not role:
            raise ValueError(f"{rule} has two defaults: {known.name} and {role.name} ({check})")
        found[rule] = (role, tuple(dict.fromkeys((*checks, check))))

    for service in services:
        for route in service.routes:
            if route.default is not DefaultPolicy.ANYBODY:
                add(route.rule, route.default, f"{route.method} {service.prefix}{route.path}")
            for name, actions in route.actions.items():
                for action in actions:
                    add(action.rule, action.default, f"{route.method} {service.prefix}{route.path} ({name})")
    for rule, (role, check) in FINER.items():
        add(rule, role, check)
    return found


RULES: Mapping[str, str] = {rule: role.value for rule, (role, _) in checked_rules().items()}
"""The defaults for `kilonova.api.http.policy.Policy`."""


def sample() -> str:
    """A policy.yaml with every default as a comment."""
    lines = ["# Remove the # of each rule that you change; docs/policy.md describes the format.", ""]
    lines += [f'#"{name}": "{text}"' for name, text in BASE.items()]
    for rule, (role, checks) in checked_rules().items():
        lines += ["", *(f"# {check}" for check in checks), f'#"{rule}": "{role.value}"']
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """docs/policy.md, below its head."""
    lines = [_INTRODUCTION, "| rule | default |", "|---|---|"]
    lines += [f"| `{name}` | `{text}` |" for name, text in BASE.items()]
    lines += ["", "## Rules of routes", "", "| rule | default | checked by |", "|---|---|---|"]
    for rule, (role, checks) in sorted(checked_rules().items()):
        lines.append(f"| `{rule}` | `{role.value}` | {'<br>'.join(f'`{check}`' for check in checks)} |")
    return "\n".join(lines) + "\n"


_INTRODUCTION = """\
# Policy

[oslo.policy](https://docs.openstack.org/oslo.policy/latest/) decides which requests a user may make, under the names of
Nova, Keystone, Glance and Neutron. The defaults are below. A file named by `[oslo_policy] policy_file` replaces some of
them. It is read at the start and on SIGHUP. A file that cannot be used stops the start; on SIGHUP it changes nothing.
`kilonova policy sample` prints such a file with every default as a comment, `kilonova policy list` prints the rules in
force.

* A check sees the caller as `role:`, `user_id:` and `project_id:`, and the target as `%(user_id)s` and
  `%(project_id)s`: the ids in the path, or else the caller's own. Checks that call another server (`http:`) are not
  supported.
* Servers, images and ports of other projects are not found (404), except by callers whom `context_is_admin` permits,
  whatever another rule says: a rule can permit an operation to a role, but not access to another project. Only some
  lists have their own rules for that (`...:get_all_tenants`, `...:all_projects`).
* Roles: admin implies member implies reader. A role exists when the policy file names it (`role:operator`), and can
  then be assigned like any other. A revoked role ends at once; an assigned role works with the next token.

This example permits operators to list services, and forbids members to delete servers:

```yaml
"os_compute_api:os-services:list": "rule:context_is_admin or role:operator"
"os_compute_api:servers:delete": "rule:context_is_admin"
```

## Base rules
"""
