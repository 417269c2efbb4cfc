# SPDX-License-Identifier: Apache-2.0
"""The engine of a fleet: PostgreSQL.  Only this package imports psycopg."""
