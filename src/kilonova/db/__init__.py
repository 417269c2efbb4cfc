# SPDX-License-Identifier: Apache-2.0
"""The database: schema (private to this room), engine, readers and writers.

A transaction is one ordinary function that takes a Connection first, run whole in a database thread.
"""
