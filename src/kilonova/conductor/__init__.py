# SPDX-License-Identifier: Apache-2.0
"""The conductor: sole writer of the database.  It accepts, places, hands out, ends, and watches deadlines and hosts."""
