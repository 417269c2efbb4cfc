# SPDX-License-Identifier: Apache-2.0
"""Servers and what belongs to one: its networks, metadata, tags, consoles, history and actions."""
