# SPDX-License-Identifier: Apache-2.0
"""`python -m kilonova.doctor`: the checks of `kilonova doctor` for a running service, which gives its settings on the
standard input (kilonova.config.handed_on) and receives the findings as JSON.

The service runs it as a process of its own: a check that hangs leaves no thread in the service, and a process of a host
does not import the database.
"""

import asyncio
import sys

from kilonova.base.program import program
from kilonova.config.handed_on import received
from kilonova.doctor.report import as_json
from kilonova.doctor.subject import subject_of
from kilonova.doctor.table import examine


@program
def main() -> None:
    """Read the settings, run the checks, write the findings."""
    settings = received(sys.stdin.buffer.read())
    sys.stdout.write(as_json(asyncio.run(examine(subject_of(settings)))))


if __name__ == "__main__":
    main()
