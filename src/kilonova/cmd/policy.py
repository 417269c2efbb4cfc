# SPDX-License-Identifier: Apache-2.0
"""`kilonova policy`: shows the configured policy rules."""

from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles
from kilonova.cmd.directory import AsJson, group, show_list

app = group("Policy rules and their check strings.")


@app.command("list", short_help="List the rules with their check strings.")
def list_rules(
    config_file: ConfigFiles = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only the rules of the policy file.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the rules with their check strings, from the configuration on disk.  The column `from` is their source.

    An invalid policy file causes the same error as in the service.
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


@app.command("sample", short_help="Print a sample policy.yaml.")
def sample() -> None:
    """Print a policy.yaml with every default as a comment."""
    from kilonova.api import rules

    print(rules.sample(), end="")
