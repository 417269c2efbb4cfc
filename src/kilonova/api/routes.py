# SPDX-License-Identifier: Apache-2.0
"""All routes together, and docs/routes.md made of them."""

from collections.abc import Iterable

from kilonova.api import health, versions
from kilonova.api.compute import routes as compute
from kilonova.api.compute.actions import table
from kilonova.api.identity import routes as identity
from kilonova.api.image import routes as image
from kilonova.api.microversion import MAX, MIN
from kilonova.api.network import routes as network
from kilonova.api.route import Row, Service

SERVICES: tuple[Service, ...] = (
    *health.SERVICES,
    *versions.SERVICES,
    identity.SERVICE,
    compute.SERVICE,
    image.SERVICE,
    network.SERVICE,
)
"""Everything that is served."""


def routes_markdown(services: Iterable[Service] = SERVICES) -> str:
    """A table per service, and one of the server actions."""
    lines = ["# HTTP routes", ""]
    for service in services:
        lines += [f"## `{service.prefix or '/'}`", ""]
        if service.microversions:
            lines += [f"Microversions {MIN} to {MAX}.", ""]
        lines += ["| method | path | role | code | since | until | answer | policy |", "|" + "---|" * 8]
        lines += [_line(row) for row in service.rows]
        lines.append("")
    lines += ["## Server actions", "", "| action | role | policy |", "|---|---|---|"]
    lines += [f"| `{name}` | {one.role.name.lower()} | {one.rule} |" for name, (*_, one) in table.ACTIONS.items()]
    return "\n".join(lines) + "\n"


def _line(row: Row) -> str:
    since = "" if row.min == MIN else str(row.min)
    until = "" if row.max == MAX or row.max > MAX else str(row.max)
    path = row.path or "/"
    return (
        f"| {row.method} | `{path}` | {row.role.name.lower()} | {row.success} | {since} | {until} "
        f"| {row.reply or 'no body'} | {row.rule} |"
    )
