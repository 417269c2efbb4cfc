# SPDX-License-Identifier: Apache-2.0
"""Questions to the database.  Each is a function that takes a Snapshot and changes nothing."""
