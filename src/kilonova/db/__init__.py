# SPDX-License-Identifier: Apache-2.0
"""The database: schema (private to this room), engine, readers and writers.

A transaction is one ordinary function whose first parameter is a Transaction (or a Snapshot, which it only reads).  It
runs whole in a database thread.
"""
