# SPDX-License-Identifier: Apache-2.0
"""What Tempest said, test by test, and what is to be thought of it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from conformance.left_out import EVERYTHING, reason

AREA = r"tempest\.api\.(compute|identity|image)\."
"""What is run, as a regular expression."""
_LINE = re.compile(
    r"^\{\d+\} (?:setUpClass \()?tempest\.api\.((?:compute|identity|image)\.[\w.]+)\)? (?:\[[\d.]+s\] )?\.\.\. "
    r"(ok|FAILED|SKIPPED)"
)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Names of tests, or of classes whose preparation failed, after `tempest.api.`.

    `left_out` failed as they are known to, by name with the reason; `failed` otherwise.  `stale` are the entries of
    `left_out.EVERYTHING` that let nothing fail.
    """

    passed: Sequence[str]
    skipped: Sequence[str]
    left_out: Mapping[str, str]
    failed: Sequence[str]
    stale: Sequence[str]

    @property
    def good(self) -> bool:
        """Whether it went as it is known to."""
        return bool(self.passed) and not self.failed and not self.stale


def outcomes(lines: Iterable[str], *, whole: bool) -> Outcomes:
    """Of the lines that `tempest run` prints; of a run that was not the `whole` nothing is stale."""
    found: dict[str, str] = {}
    for line in lines:
        if match := _LINE.match(line):
            found[match[1]] = match[2]
    failed = [name for name, said in found.items() if said == "FAILED"]
    known = {name: why for name in failed if (why := reason(name)) is not None}
    return Outcomes(
        passed=[name for name, said in found.items() if said == "ok"],
        skipped=[name for name, said in found.items() if said == "SKIPPED"],
        left_out=known,
        failed=[name for name in failed if name not in known],
        stale=[name for name in EVERYTHING if whole and not any(one.startswith(name) for one in known)],
    )


def text(seen: Outcomes) -> str:
    """For people."""
    lines = [f"left out  {name}: {why}" for name, why in seen.left_out.items()]
    lines += [f"FAILED    {name}" for name in seen.failed]
    lines += [f"STALE     {name}: it fails no more; take it out of conformance/left_out*.py" for name in seen.stale]
    lines.append(
        f"{len(seen.passed)} passed, {len(seen.failed)} failed, {len(seen.left_out)} left out, "
        f"{len(seen.skipped)} skipped by Tempest (no Neutron, Cinder or second host here)"
    )
    return "\n".join(lines)
