# SPDX-License-Identifier: Apache-2.0
"""[oslo_policy]: the policy file, which replaces default rules."""

from dataclasses import dataclass
from pathlib import Path

from oslo_config import cfg

GROUP = "oslo_policy"
OPTIONS = [
    cfg.StrOpt(
        "policy_file",
        help="Absolute path of a policy.yaml whose rules replace the defaults (docs/policy.md); default: none.",
        mutable=True,
    ),
]


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """`policy_file` None: the default rules."""

    policy_file: Path | None


def settings(group: cfg.ConfigOpts.GroupAttr) -> PolicySettings:
    """The frozen settings of the group.  Raises ValueError for a path that is not absolute."""
    named = group.policy_file
    if named and not named.startswith("/"):
        raise ValueError(f"[oslo_policy] policy_file is not absolute: {named}")
    return PolicySettings(Path(named) if named else None)
