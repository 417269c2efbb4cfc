# SPDX-License-Identifier: Apache-2.0
"""Kilonova: virtual machines through libvirt, behind the OpenStack Compute API."""

__version__ = "0.2.0"

CODE_VERSION = 2
"""The version of our own protocols (RPC methods, schema): 1 in release 0.1, 2 in release 0.2.  Methods give `since` in
these numbers.  Processes whose versions differ by one work together (docs/upgrade.md)."""
