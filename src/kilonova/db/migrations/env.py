# SPDX-License-Identifier: Apache-2.0
"""Alembic's environment: migrations run inside the transaction of the connection that kilonova.db.migrate hands in."""

from alembic import context

from kilonova.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,
    transaction_per_migration=False,
)
context.run_migrations()
