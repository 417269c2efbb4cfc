# SPDX-License-Identifier: Apache-2.0
"""Failpoints that the matrix does not reach, and where the situation is tested instead."""

from collections.abc import Mapping

EXCUSED: Mapping[str, Mapping[str, str]] = {"any": {}}
"""By role, or for any: the beginning of the names, and the reason."""
