# SPDX-License-Identifier: Apache-2.0
"""Changes to the database.  Each is a function that takes a Transaction and is part of its caller's transaction."""
