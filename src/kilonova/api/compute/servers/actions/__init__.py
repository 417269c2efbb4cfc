# SPDX-License-Identifier: Apache-2.0
"""POST /servers/{id}/action: one file per family of actions, and one table of all actions."""
