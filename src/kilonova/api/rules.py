# SPDX-License-Identifier: Apache-2.0
"""Every rule that a route asks for, with its default; docs/policy.md and the sample file are made of it."""

from collections.abc import Iterable, Mapping

from kilonova.api.compute.servers.create import REQUESTED_DESTINATION
from kilonova.api.http.policy import BASE
from kilonova.api.http.route import DefaultPolicy, Service
from kilonova.api.identity.projects import EVERY_PROJECT
from kilonova.api.routes import SERVICES

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
    "os_compute_api:limits:other_project": (DefaultPolicy.ADMIN, "GET /compute/v2.1/limits?tenant_id"),
    "os_compute_api:os-server-groups:index:all_projects": (
        DefaultPolicy.ADMIN,
        "GET /compute/v2.1/os-server-groups?all_projects",
    ),
    EVERY_PROJECT: (DefaultPolicy.DOMAIN_READER, "GET /identity/v3/projects, of projects in which one has no role"),
    "publicize_image": (DefaultPolicy.ADMIN, "an image that is made public"),
    "communitize_image": (DefaultPolicy.MEMBER, "an image that is opened to the community"),
}
"""What handlers ask themselves, because it depends on more than the path."""


def asked_for(services: Iterable[Service] = SERVICES) -> Mapping[str, tuple[DefaultPolicy, tuple[str, ...]]]:
    """By rule: its default, and what asks for it ("GET /compute/v2.1/servers").  Raises ValueError when two routes that
    share a rule differ in its default: an operator's word could not mean both."""
    found: dict[str, tuple[DefaultPolicy, tuple[str, ...]]] = {}

    def add(rule: str, role: DefaultPolicy, asker: str) -> None:
        known, askers = found.get(rule, (role, ()))
        if known is not role:
            raise ValueError(f"{rule} has two defaults: {known.name} and {role.name} ({asker})")
        found[rule] = (role, tuple(dict.fromkeys((*askers, asker))))

    for service in services:
        for route in service.routes:
            if route.default is not DefaultPolicy.ANYBODY:
                add(route.rule, route.default, f"{route.method} {service.prefix}{route.path}")
            for name, actions in route.actions.items():
                for action in actions:
                    add(action.rule, action.default, f"{route.method} {service.prefix}{route.path} ({name})")
    for rule, (role, asker) in FINER.items():
        add(rule, role, asker)
    return found


RULES: Mapping[str, str] = {rule: role.value for rule, (role, _) in asked_for().items()}
"""What `kilonova.api.http.policy.Policy` is fed with."""


def sample() -> str:
    """A policy.yaml in which every default stands as a comment."""
    lines = ["# Take the # away from what is to differ; docs/policy.md says how it is read.", ""]
    lines += [f'#"{name}": "{text}"' for name, text in BASE.items()]
    for rule, (role, askers) in asked_for().items():
        lines += ["", *(f"# {asker}" for asker in askers), f'#"{rule}": "{role.value}"']
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """docs/policy.md, below its head."""
    lines = [_INTRODUCTION, "| rule | default |", "|---|---|"]
    lines += [f"| `{name}` | `{text}` |" for name, text in BASE.items()]
    lines += ["", "## What routes ask for", "", "| rule | default | asked by |", "|---|---|---|"]
    for rule, (role, askers) in sorted(asked_for().items()):
        lines.append(f"| `{rule}` | `{role.value}` | {'<br>'.join(f'`{asker}`' for asker in askers)} |")
    return "\n".join(lines) + "\n"


_INTRODUCTION = """\
# Policy

Who may do what is decided by [oslo.policy](https://docs.openstack.org/oslo.policy/latest/), under the names that Nova,
Keystone, Glance and Neutron have. The defaults are below. A file named by `[oslo_policy] policy_file` replaces some of
them; it is read at the start and on SIGHUP, and one that cannot be used stops the start, or changes nothing.
`kilonova policy sample` prints such a file with every default in it as a comment, `kilonova policy list` what is in
force.

* A check sees the caller as `role:`, `user_id:` and `project_id:`, and the target as `%(user_id)s` and
  `%(project_id)s`: those that the path names, or else the caller's own. Checks that ask another server (`http:`) are
  not supported.
* Servers, images and ports of other projects are not found (404) except by those whom `context_is_admin` lets through,
  whatever another rule says: a rule can open an operation to a role, not a project to a stranger. Only some
  lists have rules of their own for that (`...:get_all_tenants`, `...:all_projects`).
* Roles: admin implies member implies reader. A role exists when the policy file speaks of it
  (`role:operator`), and can then be given like any other. What an administrator takes away stops working at once; what
  he gives works with the next token.

Let operators look at services, and members not delete servers:

```yaml
"os_compute_api:os-services:list": "rule:context_is_admin or role:operator"
"os_compute_api:servers:delete": "rule:context_is_admin"
```

## What the others are made of
"""
