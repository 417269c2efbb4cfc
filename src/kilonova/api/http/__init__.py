# SPDX-License-Identifier: Apache-2.0
"""The HTTP framework: server, limits, routing, microversions, policy, faults, OpenAPI.  It contains no resource."""
