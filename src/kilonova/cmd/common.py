# SPDX-License-Identifier: Apache-2.0
"""What commands share."""

import sys
from collections.abc import Generator
from contextlib import contextmanager

from kilonova.base.errors import KilonovaError


@contextmanager
def ending_in_one_sentence() -> Generator[None]:
    """Our own errors end the process with status 1 and one sentence on standard error; anything else is a defect and
    keeps its traceback."""
    try:
        yield
    except* KilonovaError as group:
        print(f"kilonova: {_first(group)}", file=sys.stderr)
        sys.exit(1)


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
