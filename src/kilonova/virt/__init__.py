# SPDX-License-Identifier: Apache-2.0
"""Hypervisors: the driver port, the fake driver, and libvirt."""
