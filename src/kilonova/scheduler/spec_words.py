# SPDX-License-Identifier: Apache-2.0
"""The little language in which a flavor's extra spec says which values will do.

Source: OpenStack Compute, administration guide, "ComputeCapabilitiesFilter", operators of extra specs.
"""

from collections.abc import Callable, Mapping

_NUMBERS: Mapping[str, Callable[[float, float], bool]] = {
    "=": lambda value, asked: value >= asked,  # so it says there: the oldest operator means "at least"
    "==": lambda value, asked: value == asked,
    "!=": lambda value, asked: value != asked,
    ">=": lambda value, asked: value >= asked,
    "<=": lambda value, asked: value <= asked,
}
_TEXTS: Mapping[str, Callable[[str, str], bool]] = {
    "s==": lambda value, asked: value == asked,
    "s!=": lambda value, asked: value != asked,
    "s<": lambda value, asked: value < asked,
    "s<=": lambda value, asked: value <= asked,
    "s>": lambda value, asked: value > asked,
    "s>=": lambda value, asked: value >= asked,
    "<in>": lambda value, asked: asked in value,
}


def matches(value: str, wanted: str) -> bool:
    """Whether a host's value will do: equal, or by an operator ("s!= tape", ">= 10", "<or> a <or> b")."""
    operator, _, rest = wanted.partition(" ")
    asked = rest.strip()
    if operator == "<or>":
        return value in {word.strip() for word in asked.split("<or>")}
    if operator in _TEXTS:
        return _TEXTS[operator](value, asked)
    if operator in _NUMBERS:
        try:
            return _NUMBERS[operator](float(value), float(asked))
        except ValueError:
            return False
    return value == wanted
