# SPDX-License-Identifier: Apache-2.0
"""Networks as pure functions: addresses, MACs, and the network configuration that a guest receives.  Nothing here
touches the host."""
