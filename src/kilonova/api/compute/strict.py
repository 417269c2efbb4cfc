# SPDX-License-Identifier: Apache-2.0
"""The microversion from which Compute refuses unknown query arguments."""

from kilonova.api.http.microversion import v2

STRICT = v2(75)
"""From this microversion on, unknown query arguments are refused."""

NO_QUERY: frozenset[str] = frozenset()
"""For a route without query arguments, which refuses all arguments from STRICT on."""
