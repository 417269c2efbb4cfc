# SPDX-License-Identifier: Apache-2.0
"""The composition root: it builds each process from its parts.

One module per kind of process, importing only what that process needs: a compute process never imports the database.
"""
