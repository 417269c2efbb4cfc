# SPDX-License-Identifier: Apache-2.0
"""Mutants of `kilonova verify`: its comparisons, and what a repair may delete."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

SERVICE = "tests/service/test_api_verify.py"
OF_HOST, OF_DATABASE = "conductor/verify/host.py", "conductor/verify/database.py"

MUTANTS_OF_VERIFY: Sequence[Mutant] = (
    one(
        "what a repair deletes was an orphan in an earlier look",
        f"{SERVICE}::test_the_guest_of_a_deleted_server_is_removed_after_two_looks",
        "compute/verifier.py",
        "            if ages[name] >= request.pause_s:\n",
        "            if True:\n",
    ),
    one(
        "a file of the image store is removed after two looks",
        f"{SERVICE}::test_files_without_an_image_are_removed_after_two_looks",
        "api/image/verify.py",
        "    if ages[found.subject] < request.pause_s:\n",
        "    if False:\n",
    ),
    one(
        "an orphan that was none in a look is a new one",
        "tests/unit/base/test_sightings.py::test_an_orphan_is_as_old_as_its_first_look_also_for_another_process",
        "base/sightings.py",
        "    first = {name: min(now, before.get(name, now)) for name in found}\n",
        "    first = {**before, **{name: min(now, before.get(name, now)) for name in found}}\n",
    ),
    one(
        "a server in progress on its host is not compared",
        "tests/unit/conductor/test_verify_host.py::test_a_server_in_progress_has_no_difference",
        OF_HOST,
        "        return instance_id not in self.records.busy and instance_id not in self.contents.busy\n",
        "        return instance_id not in self.records.busy\n",
    ),
    one(
        "a stopped server without a guest is not started",
        "tests/unit/conductor/test_verify_host.py::test_a_difference_has_its_code_and_its_repair",
        OF_HOST,
        "    return has_disk and server.vm_state is VmState.ACTIVE and server.desired_power is PowerState.RUNNING\n",
        "    return has_disk\n",
    ),
    one(
        "a deleted server holds its claim until its host has removed the guest",
        "tests/unit/conductor/test_recount.py::test_a_recount_agrees_at_every_commit",
        OF_DATABASE,
        "    for one in (*held.living, *held.leaving):\n",
        "    for one in held.living:\n",
    ),
    one(
        "an address of another server is reserved after it was released",
        "tests/unit/conductor/test_verify_database.py::test_a_planted_difference_is_found_and_repaired",
        OF_DATABASE,
        "ROUNDS = 2\n",
        "ROUNDS = 1\n",
    ),
    one(
        "a host that cannot be compared is a reply, not an error",
        f"{SERVICE}::test_a_hypervisor_that_is_away_is_not_compared",
        "conductor/verify/service.py",
        '            return Verified(unseen=f"Host {host} could not be compared: {exc.message}")\n',
        "            raise\n",
    ),
    one(
        "cached images are compared with their checksums",
        f"{SERVICE}::test_a_damaged_base_is_fetched_again",
        "compute/image_cache.py",
        '                if not (await self._workers.run(_digest, path)).startswith(path.name.partition(".")[0]):\n',
        "                if False:\n",
    ),
)
