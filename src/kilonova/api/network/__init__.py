# SPDX-License-Identifier: Apache-2.0
"""Network v2.0, as much of it as is read: networks, subnets and ports follow from hosts and servers."""
