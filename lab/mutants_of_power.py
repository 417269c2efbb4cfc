# SPDX-License-Identifier: Apache-2.0
"""Mutants of what stays after a loss of power."""

from collections.abc import Sequence

from lab.mutant import Mutant, one

CUT = "tests/live/test_power_cut.py"
FILES = f"{CUT}::test_what_a_function_has_done_is_so_after_a_loss_of_power"
BOX = f"{CUT}::test_the_one_box_loses_nothing_that_it_has_accepted"


MUTANTS_OF_POWER: Sequence[Mutant] = (
    one("a commit is on stable storage", BOX, "db/sqlite.py", '"synchronous=FULL"', '"synchronous=NORMAL"'),
    one(
        "the key of tokens is on stable storage",
        BOX,
        "wiring/shared.py",
        "replace_file(path, clock.new_secret(SECRET_BYTES).encode())",
        "path.write_text(clock.new_secret(SECRET_BYTES))",
    ),
    one("the bytes of an image are on stable storage", BOX, "images/store.py", "            os.fsync(fd)\n", ""),
    one(
        "a new directory is on stable storage",
        FILES,
        "base/files.py",
        "    path.chmod(mode)\n    fsync_directory(path.parent)\n",
        "    path.chmod(mode)\n",
    ),
    one(
        "the contents of a replaced file are on stable storage",
        FILES,
        "base/files.py",
        "            file.flush()\n            os.fsync(file.fileno())\n",
        "",
    ),
    one(
        "a new name is on stable storage",
        FILES,
        "base/files.py",
        "    fsync_directory(new.parent)\n",
        "",
    ),
    one(
        "the contents of a published file are on stable storage",
        FILES,
        "base/files.py",
        "    with open_plain(unfinished) as file:\n        os.fsync(file.fileno())\n",
        "",
    ),
    one(
        "a removed file is removed on stable storage",
        FILES,
        "base/files.py",
        "        fsync_directory(parent)\n",
        "        del parent\n",
    ),
)
