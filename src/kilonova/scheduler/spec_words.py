# SPDX-License-Identifier: Apache-2.0
"""The operators of extra specs: a flavor's extra spec states which values of a host it accepts.

Source: OpenStack Compute, administration guide, "ComputeCapabilitiesFilter", operators of extra specs.
"""

import operator
import re
from collections.abc import Callable, Mapping

_NUMBERS: Mapping[str, Callable[[float, float], bool]] = {
    "=": lambda value, operand: value >= operand,  # as the guide specifies: the oldest operator means "at least"
    "==": lambda value, operand: value == operand,
    "!=": lambda value, operand: value != operand,
    ">=": lambda value, operand: value >= operand,
    "<=": lambda value, operand: value <= operand,
}
_TEXTS: Mapping[str, Callable[[str, str], bool]] = {
    "s==": lambda value, operand: value == operand,
    "s!=": lambda value, operand: value != operand,
    "s<": lambda value, operand: value < operand,
    "s<=": lambda value, operand: value <= operand,
    "s>": lambda value, operand: value > operand,
    "s>=": lambda value, operand: value >= operand,
    "<in>": lambda value, operand: operand in value,
}


def matches(value: str, wanted: str) -> bool:
    """Whether a host's value is acceptable: equal, or by an operator ("s!= tape", ">= 10", "<or> a <or> b")."""
    word, _, rest = wanted.partition(" ")
    operand = rest.strip()
    if word == "<or>":
        return value in {word.strip() for word in operand.split("<or>")}
    if word in _TEXTS:
        return _TEXTS[word](value, operand)
    if word in _NUMBERS:
        try:
            return _NUMBERS[word](float(value), float(operand))
        except ValueError:
            return False
    return value == wanted


_PREDICATE = re.compile(r"\s*(<=|>=|==|!=|<|>)\s*(\d+(?:\.\d+)*)\s*")
_COMPARED: Mapping[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}


def version_text(number: int) -> str:
    """A libvirt version number in the usual notation: 7002022 is 7.2.22."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def in_range(version: str, predicates: str) -> bool:
    """Whether a version fulfils all conditions (">=6.0, <7.3")."""
    has = _numbers(version)
    for predicate in predicates.split(","):
        found = _PREDICATE.fullmatch(predicate)
        if found is None or not _COMPARED[found[1]](has, _numbers(found[2])):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    """The version without zeros at the end: 7.2 and 7.2.0 are equal."""
    found = [int(part) for part in version.split(".")]
    while found and not found[-1]:
        found.pop()
    return tuple(found)
