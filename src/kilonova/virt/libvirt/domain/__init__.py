# SPDX-License-Identifier: Apache-2.0
"""Guests as libvirt domains: definition, power, state, memory, statistics, console and liveness."""
