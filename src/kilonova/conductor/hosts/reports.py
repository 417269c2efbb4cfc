# SPDX-License-Identifier: Apache-2.0
"""API processes and conductors report that they are up; their records expire."""

from datetime import datetime, timedelta

from kilonova import CODE_VERSION
from kilonova.db.database_time import database_now
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.transaction import Transaction
from kilonova.db.writers import hosts as write_hosts
from kilonova.networks.ids import service_id
from kilonova.rpcapi.api_to_conductor_admin import ReportService

KEPT = timedelta(days=1)
"""How long the record of a process that has ended stays in the list of services."""
INTERNAL = "internal"


def report(tx: Transaction, request: ReportService, now: datetime) -> int:
    """Record that the process is up from now on for `valid_s`, by the clock of the database.  Returns the lowest code
    version of the live conductors; this code's own when no conductor has reported itself."""
    at = database_now(tx, now)
    write_hosts.report_service(
        tx,
        service_id(request.host, request.binary),
        at,
        host=request.host,
        binary=request.binary,
        topic=request.binary.rpartition("-")[2],
        zone=INTERNAL,
        epoch=1,
        process_id=request.process_id,
        boot_id="",
        registered_at=at,
        up=True,
        version=request.version,
        expires_at=at + timedelta(seconds=request.valid_s),
    )
    return read_hosts.lowest_conductor(tx, at) or CODE_VERSION


def forget_old(tx: Transaction, now: datetime) -> None:
    """Delete the records that expired longer than KEPT ago."""
    write_hosts.delete_reports(tx, database_now(tx, now) - KEPT)
