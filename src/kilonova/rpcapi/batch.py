# SPDX-License-Identifier: Apache-2.0
"""Messages with many items: an unreadable item does not make the others unreadable.

The two sides of the bus may have different versions: a verb or a state that one side does not know makes one item
unreadable, and must not make the whole message unreadable.
"""

from typing import Annotated, Any, TypeVar

import structlog
from pydantic import ValidationError, ValidatorFunctionWrapHandler, WrapValidator

log = structlog.get_logger(__name__)

T = TypeVar("T")


def reason(exc: ValidationError) -> str:
    """The field that could not be read and why, without the value: it may be a secret."""
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
            log.warning("an item of a message cannot be read and is ignored", error=reason(exc))
    return tuple(found)


Each = Annotated[tuple[T, ...], WrapValidator(_each)]
"""The type of a field of a request or a reply: the items that can be read."""
