# SPDX-License-Identifier: Apache-2.0
"""What a function that runs inside the database receives: opaque above this package.

Only readers and writers look inside.  Everything above passes it on, so that no query is written outside
`kilonova.db`, and a second database needs no change outside it.
"""

from typing import TypeAlias

import sqlalchemy as sa

Snapshot: TypeAlias = sa.Connection
"""A consistent view of the database, for reading (`Database.read`)."""

Transaction: TypeAlias = sa.Connection
"""An open transaction, for reading and writing (`Database.write`).  Readers accept it, too."""
