# SPDX-License-Identifier: Apache-2.0
"""`kilonova policy`: who may do what, as it is configured."""

from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles
from kilonova.cmd.directory import AsJson, group, show_list

app = group("The policy: rules, and who passes them.")


@app.command("list", short_help="Every rule with its check.")
def list_rules(
    config_file: ConfigFiles = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only those of the policy file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Every rule with its check, by the configuration as it is on disk now; `from` says who wrote it.

    A policy file that cannot be used is refused as the service would refuse it.
    """
    from kilonova.api.http.policy import Policy
    from kilonova.api.rules import RULES
    from kilonova.config.load import load

    settings = load(config_file or ()).oslo_policy
    before = Policy(RULES, type(settings)(None)).in_force
    found = [
        {"rule": name, "check": text, "from": "default" if before.get(name) == text else str(settings.policy_file)}
        for name, text in Policy(RULES, settings).in_force.items()
    ]
    if changed:
        found = [one for one in found if one["from"] != "default"]
    show_list(found, ("rule", "check", "from"), as_json=as_json)


@app.command("sample", short_help="Print a policy.yaml of comments.")
def sample() -> None:
    """Print a policy.yaml in which every default stands as a comment."""
    from kilonova.api import rules

    print(rules.sample(), end="")
