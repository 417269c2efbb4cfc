# SPDX-License-Identifier: Apache-2.0
"""Networks as pure functions: addresses, MACs, and what a guest is told of them.  Nothing here touches the host."""
