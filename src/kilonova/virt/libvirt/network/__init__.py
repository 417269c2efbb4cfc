# SPDX-License-Identifier: Apache-2.0
"""Guests' networks: libvirt networks and bridges, traffic filters, DHCP reservations and leases."""
