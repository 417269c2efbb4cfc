# SPDX-License-Identifier: Apache-2.0
"""Contracts between processes: one declared row per RPC method.

Callers, servers and docs/rpc.md are made from the rows.  A row's `since` is the code version that first has it; fields
are only ever added, with defaults.
"""
