# SPDX-License-Identifier: Apache-2.0
"""Queries to the database.  Each is a function that takes a Snapshot and changes nothing."""
