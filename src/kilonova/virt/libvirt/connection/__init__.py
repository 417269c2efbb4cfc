# SPDX-License-Identifier: Apache-2.0
"""Connections to libvirt: pools of sockets, opening and keepalive, events, and calls whose outcome is unknown."""
