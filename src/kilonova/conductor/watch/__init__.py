# SPDX-License-Identifier: Apache-2.0
"""Periodic work of the conductor: deadlines, confirmations, offloading, purging."""
