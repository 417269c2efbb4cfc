# SPDX-License-Identifier: Apache-2.0
"""Messages between processes: the bus port, its wire form, and the implementations of the bus."""
