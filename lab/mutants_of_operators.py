# SPDX-License-Identifier: Apache-2.0
"""Mutants of what operators see of a fleet."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

DOCTOR = "tests/unit/doctor/test_fleet.py"

MUTANTS_OF_OPERATORS: Sequence[Mutant] = (
    one(
        "a difference of the clocks",
        f"{DOCTOR}::test_the_verdict",
        "doctor/fleet.py",
        "    if ahead is not None and abs(ahead) > CLOCK_S:\n",
        "    if False:\n",
    ),
    one(
        "fewer checks of a process that runs no guests",
        f"{DOCTOR}::test_a_process_without_guests_has_no_checks_of_a_host",
        "doctor/table.py",
        "    if subject.runs_guests:\n",
        "    if True:\n",
    ),
    one(
        "credentials that are older than this version",
        "tests/unit/doctor/test_bus.py::test_credentials",
        "doctor/bus.py",
        "    missing = _missing(found)\n",
        "    missing: list[str] = []\n",
    ),
    one(
        "each problem of PostgreSQL is a finding",
        "tests/contract/test_doctor_postgresql.py::test_two_problems_are_two_findings",
        "doctor/postgresql.py",
        "    return found or [ok(",
        "    return found[:1] or [ok(",
    ),
)
