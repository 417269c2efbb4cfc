# SPDX-License-Identifier: Apache-2.0
"""Messages that carry many things: one that cannot be read is no other's matter.

Two sides of the bus may be of different versions: a verb or a state that one of them does not know makes one thing of a
message unreadable, and must not make the message so.
"""

from typing import Annotated, Any, TypeVar

import structlog
from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

log = structlog.get_logger(__name__)

T = TypeVar("T")


def reason(exc: ValidationError) -> str:
    """What could not be read, without the value: it may be a secret."""
    first = exc.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _each(value: Any, whole: ValidatorFunctionWrapHandler) -> Any:
    if not isinstance(value, list | tuple):
        return whole(value)
    found: list[Any] = []
    for item in value:  # pyright: ignore[reportUnknownVariableType]
        try:
            found.extend(whole([item]))
        except ValidationError as exc:
            log.warning("left out of a message what cannot be read", error=reason(exc))
    return tuple(found)


Each = Annotated[tuple[T, ...], WrapValidator(_each)]
"""As a field of a request or a reply: those that can be read."""
