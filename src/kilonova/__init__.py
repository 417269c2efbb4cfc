# SPDX-License-Identifier: Apache-2.0
"""Kilonova: virtual machines through libvirt, behind the OpenStack Compute API."""

__version__ = "0.1.0"

CODE_VERSION = 1
"""The version of our own protocols (RPC rows, schema); rows say `since` in these numbers."""
