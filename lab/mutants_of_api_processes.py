# SPDX-License-Identifier: Apache-2.0
"""Mutants of "several API processes are one service": keys of tokens, and a start that waits."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

RING = "tests/unit/identity/test_key_ring.py"
KEYS = "tests/unit/conductor/test_signing_keys.py"
GATE = "tests/unit/api/test_start_gate.py"

MUTANTS_OF_API_PROCESSES: Sequence[Mutant] = (
    one(
        "a new key of tokens waits for all processes",
        f"{RING}::test_a_new_key_verifies_at_once_and_signs_when_all_processes_have_it",
        "identity/key_ring.py",
        "max(known_by_all or accepted,",
        "max(accepted,",
    ),
    one(
        "a retired key of tokens ends",
        f"{RING}::test_a_retired_key_verifies_until_its_last_token_has_expired",
        "identity/key_ring.py",
        "key.retired_at is None or now < key.retired_at + self._kept",
        "key.id != ''",
    ),
    one(
        "keys that were not read for long give no verdict",
        f"{RING}::test_an_unknown_key_is_refused_and_is_no_verdict_after_a_long_outage_of_the_database",
        "identity/key_ring.py",
        "        if key is None and self.age_s() >= LEAD_S:",
        "        if key is None and self.age_s() < 0:",
    ),
    one(
        "claims are remembered with the secret that signed them",
        f"{RING}::test_a_key_of_the_same_name_with_another_secret_verifies_nothing_of_the_first",
        "identity/tokens.py",
        "known is not None and known[0] == secret",
        "known is not None",
    ),
    one(
        "the first key is created once",
        f"{KEYS}::test_of_two_that_create_the_first_key_one_wins",
        "conductor/signing_keys.py",
        "    if not read.of_purpose(tx, purpose):\n",
        "    if purpose:\n",
    ),
    one(
        "a repeated rotation changes nothing",
        f"{KEYS}::test_a_rotation_retires_and_a_repeat_of_it_changes_nothing",
        "conductor/signing_keys.py",
        "    if any(key.id == one.id for one in read.of_purpose(tx, purpose)):\n        return\n",
        "",
    ),
    one(
        "a process that is not complete serves nothing",
        f"{GATE}::test_until_the_start_is_complete_only_the_health_page_is_served",
        "api/http/start_gate.py",
        "        if not reason or scope",
        "        if reason or scope",
    ),
)
