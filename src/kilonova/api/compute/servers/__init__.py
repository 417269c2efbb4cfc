# SPDX-License-Identifier: Apache-2.0
"""Servers and their parts: networks, metadata, tags, consoles, history and actions."""
