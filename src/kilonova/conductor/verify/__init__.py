# SPDX-License-Identifier: Apache-2.0
"""Compares the database with itself and with hosts, for `kilonova verify`."""
