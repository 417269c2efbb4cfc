# SPDX-License-Identifier: Apache-2.0
"""Choosing hosts: pure filters that give reasons and weighers that give numbers.  A library of the conductor."""
