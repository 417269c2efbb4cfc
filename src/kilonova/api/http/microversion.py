# SPDX-License-Identifier: Apache-2.0
"""Microversions of the Compute API: the supported range, and the version of a request.

Source: OpenStack API-SIG, "Microversion Specification"; Nova, "REST API Version History".
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from kilonova.base.errors import InvalidInput, KilonovaError, NotAcceptable


class Microversion(NamedTuple):
    """A version of the Compute API; compares by number (2.9 < 2.10)."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def v2(minor: int) -> Microversion:
    """Version 2.`minor`."""
    return Microversion(2, minor)


MIN = v2(1)
MAX = v2(90)
"""Raise it only when every microversion up to it is implemented."""

HEADER = "openstack-api-version"
OLD_HEADER = "x-openstack-nova-api-version"

_FORM = re.compile(r"([1-9]\d{0,5})\.([1-9]\d{0,5}|0)")


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The version to serve, the text for the answer's headers, and the error in the request's header."""

    version: Microversion
    text: str
    problem: tuple[type[KilonovaError], str] | None = None


@lru_cache(maxsize=256)
def negotiate(header: str | None, old_header: str | None) -> Negotiated:
    """The version for these two headers.  The newer header wins; none means 2.1, `latest` means the maximum."""
    requested = _requested(header) or (old_header or "").strip() or str(MIN)
    if requested.lower() == "latest":
        return Negotiated(MAX, str(MAX))
    match = _FORM.fullmatch(requested)
    if match is None:
        message = f"API Version String '{requested[:64]}' is of invalid format. Must be of format MajorNum.MinorNum."
        return Negotiated(MIN, str(MIN), (InvalidInput, message))
    version = Microversion(int(match[1]), int(match[2]))
    if not MIN <= version <= MAX:
        message = f"Version {version} is not supported by the API. Minimum is {MIN} and maximum is {MAX}."
        return Negotiated(MAX, str(version), (NotAcceptable, message))
    return Negotiated(version, str(version))


def _requested(header: str | None) -> str | None:
    for item in (header or "").split(","):
        service, _, version = item.strip().partition(" ")
        if service.lower() == "compute" and version.strip():
            return version.strip()
    return None
