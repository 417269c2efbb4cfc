# SPDX-License-Identifier: Apache-2.0
"""The defects that the simulation must find: each could be written by a tired engineer, and breaks one of the promises
that nothing accepted is lost, that no guest runs twice, and that a shown state is true.

They were chosen by reading the control plane, and not the checks of the simulation.  `make mutants ARGS=--simulation`
counts how many of them it finds, and after how many seeds.

A defect that changes no state is not in the list: that a guest which cannot be read after a failure counts as absent.
Only `evacuate` and `unshelve` read whether it is absent, both remove what they have made first, and a removal that
failed is reported as NOSTATE all the same (`Runner._power_with`).
"""

from collections.abc import Sequence

from lab.mutant import Defect
from lab.mutants_of_simulation_compute import DEFECTS_OF_RUNS, DEFECTS_OF_STEPS, DEFECTS_OF_THE_HOST
from lab.mutants_of_simulation_engine import DEFECTS_OF_ENGINE
from lab.mutants_of_simulation_hosts import DEFECTS_OF_HOSTS
from lab.mutants_of_simulation_records import (
    DEFECTS_OF_CALLS,
    DEFECTS_OF_PLACEMENT,
    DEFECTS_OF_RECORDS,
    DEFECTS_OF_STATES,
    DEFECTS_OF_WATCHES,
)
from lab.mutants_of_simulation_verbs import DEFECTS_OF_VERBS

DEFECTS: Sequence[Defect] = (
    *DEFECTS_OF_ENGINE,
    *DEFECTS_OF_VERBS,
    *DEFECTS_OF_HOSTS,
    *DEFECTS_OF_PLACEMENT,
    *DEFECTS_OF_WATCHES,
    *DEFECTS_OF_RECORDS,
    *DEFECTS_OF_CALLS,
    *DEFECTS_OF_STATES,
    *DEFECTS_OF_RUNS,
    *DEFECTS_OF_STEPS,
    *DEFECTS_OF_THE_HOST,
)
