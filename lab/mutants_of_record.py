# SPDX-License-Identifier: Apache-2.0
"""Mechanisms of the record and its replay, taken away."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

PARTS = "tests/unit/record/test_record.py"

MUTANTS_OF_RECORD: Sequence[Mutant] = (
    one(
        "each call is compared",
        PARTS + "::test_other_calls_leave_the_record",
        "record/player.py",
        "if self._chain.add(name, arguments) != hashed or name != recorded:",
        "if name != recorded:",
    ),
    one(
        "only classes of values are built",
        PARTS + "::test_values_come_back_and_nothing_else_is_built",
        "record/values.py",
        "found = found if _is_value_class(found) else None",
        "pass",
    ),
    one(
        "a torn frame is ignored",
        PARTS + "::test_a_file_ends_at_its_last_whole_frame_and_at_its_limit",
        "record/log.py",
        "return body if len(body) == length and zlib.crc32(body) == checksum else None",
        "return body",
    ),
    one(
        "a cancelled call is cancelled outside",
        PARTS + "::test_a_replay_has_the_same_inputs_in_the_same_order",
        "record/recorder.py",
        "        task.cancel()\n\n\ndef _nothing",
        "        pass\n\n\ndef _nothing",
    ),
    one(
        "ids are recorded",
        PARTS + "::test_a_replay_has_the_same_inputs_in_the_same_order",
        "record/rooms.py",
        'return self._outside.value("id", lambda rooms: rooms.clock.new_id())',
        "return __import__('uuid').uuid4().hex",
    ),
)
