# SPDX-License-Identifier: Apache-2.0
"""Contracts between processes: one declared `Method` per RPC method.

Callers, endpoints and docs/rpc.md are made from the declarations.  A method's `since` is its first code version; fields
are only ever added, with defaults.
"""
