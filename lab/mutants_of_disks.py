# SPDX-License-Identifier: Apache-2.0
"""Mechanisms around guests' disks, taken away."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

MOVED = "tests/regressions/test_disks_moved_by_other_tools.py"
GONE = "tests/regressions/test_disk_is_gone.py"
HEADER = "tests/regressions/test_header_written_by_a_guest.py"
CONFINE = "tests/unit/base/test_confine.py"

MUTANTS_OF_DISKS: Sequence[Mutant] = (
    one(
        "a disk that other tools have moved",
        f"{MOVED}::test_a_start_keeps_the_active_disk",
        "virt/libvirt/domain/active.py",
        "    if above is not None:\n        return above\n",
        "    if above is not None:\n        return ()\n",
    ),
    one(
        "the name that libvirt has",
        f"{MOVED}::test_a_guest_that_was_renamed_is_known_by_its_id",
        "virt/libvirt/disks/guest_disks.py",
        "name=wanted.name if seen is None else seen.name",
        "name=wanted.name",
    ),
    one(
        "a definition of what is still so",
        f"{MOVED}::test_a_definition_made_of_what_is_no_longer_so_is_not_written",
        "virt/libvirt/domain/guest.py",
        "    if active.of(domain) != seen:\n",
        "    if domain is None and seen is not None:\n",
    ),
    one(
        "the look before the first step",
        f"{GONE}::test_a_guest_whose_disk_is_gone_runs_on_and_the_reason_is_told",
        "compute/runner.py",
        "if operation.look is not nothing:",
        "if operation.look is None:",
    ),
    one(
        "a data file in a header",
        f"{HEADER}::test_a_disk_that_refers_to_what_it_was_not_made_on_is_used_for_nothing",
        "virt/libvirt/disks/chains.py",
        "    if header.has_data_file:\n        return False\n",
        "",
    ),
    one(
        "a link in the place of a disk",
        f"{HEADER}::test_a_disk_that_refers_to_what_it_was_not_made_on_is_used_for_nothing",
        "base/files.py",
        "os.O_NOFOLLOW | ",
        "",
    ),
    one(
        "a chain stated to its end",
        f"{HEADER}::test_the_definition_states_each_chain_to_its_end",
        "virt/libvirt/xml/domain.py",
        "        disk.append(backing_store(self.backing))\n",
        "",
    ),
    one(
        "a chain told to tools",
        f"{HEADER}::test_a_tool_opens_no_file_that_a_header_names",
        "virt/libvirt/disks/chains.py",
        'return node if top.format == "raw" else {**node, "backing": _node(below) if below else None}',
        "return node",
    ),
    one(
        "files that a tool does not see",
        f"{CONFINE}::test_it_reads_what_is_named_and_nothing_besides",
        "base/confine.py",
        "if ruleset is not None and _call(_RESTRICT_SELF, ruleset, 0) < 0:",
        "if ruleset is None:",
    ),
    one(
        "a tool without the network",
        f"{CONFINE}::test_it_has_no_right_of_ours_no_network_and_nothing_of_our_environment",
        "base/confine.py",
        "        _refuse_calls()\n",
        "",
    ),
    one(
        "the power button, again",
        "tests/regressions/test_power_button_is_missed.py",
        "compute/operations/stop.py",
        "PRESS_AGAIN_S = 10.0",
        "PRESS_AGAIN_S = 1e9",
    ),
    one(
        "modes whatever the umask",
        "tests/regressions/test_umask.py",
        "base/files.py",
        "    path.chmod(mode)\n",
        "",
    ),
    one(
        "an unrescue that was refused",
        "tests/regressions/test_failed_unrescue.py",
        "conductor/verbs/rescue.py",
        "    if ending.power is PowerState.RUNNING:\n",
        "    if False:\n",
    ),
    one(
        "an unrescue that is done although it failed",
        "tests/unit/compute/test_power_operations.py",
        "compute/runner.py",
        "        if run.is_done:\n",
        "        if False:\n",
    ),
    one(
        "an unrescue that started nothing is not done",
        "tests/unit/compute/test_power_operations.py",
        "compute/operations/rescue.py",
        "    return state.power is PowerState.RUNNING and job.has_started(state)\n",
        "    return state.power is PowerState.RUNNING\n",
    ),
    one(
        "an image that a disk lies on",
        "tests/unit/compute/test_image_cleanup.py",
        "compute/image_cache.py",
        "if os.path.realpath(path) not in kept and path.stat().st_mtime < before:",
        "if path.stat().st_mtime < before:",
    ),
    one(
        "an image that was wanted a moment ago",
        "tests/unit/compute/test_image_cleanup.py",
        "compute/image_cache.py",
        "if os.path.realpath(path) not in kept and path.stat().st_mtime < before:",
        "if os.path.realpath(path) not in kept:",
    ),
)
