# SPDX-License-Identifier: Apache-2.0
"""Network v2.0, read-only: networks, subnets and ports follow from hosts and servers."""
