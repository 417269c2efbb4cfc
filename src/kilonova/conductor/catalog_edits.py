# SPDX-License-Identifier: Apache-2.0
"""Administrators' changes to the service catalog: add and delete entries.  Each edit is one transaction."""

from datetime import datetime

from kilonova.base.errors import Forbidden
from kilonova.db.readers import service_catalog as read
from kilonova.db.transaction import Transaction
from kilonova.db.writers import identity as write
from kilonova.objects.identity import CatalogEntry, EntryKind
from kilonova.rpcapi import api_to_conductor_identity as methods


def put_entries(tx: Transaction, request: methods.PutEntries, _now: datetime) -> None:
    for entry in request.entries:
        write.put_entry(tx, entry)


def delete_entry(tx: Transaction, request: methods.DeleteEntry, _now: datetime) -> None:
    """Raises Forbidden."""
    entries = read.list_entries(tx)
    gone = [request.entry_id]
    if request.kind is EntryKind.REGION:
        gone = _below(entries, request.entry_id)
        if any(entry.kind is EntryKind.ENDPOINT and entry.body.get("region_id") in gone for entry in entries):
            raise Forbidden(f"The region {request.entry_id[:255]}, or one below it, still has endpoints.")
    if request.kind is EntryKind.SERVICE:
        for entry in entries:
            if entry.kind is EntryKind.ENDPOINT and entry.body.get("service_id") == request.entry_id:
                write.delete_entry(tx, entry.kind, entry.id)
    for entry_id in gone:
        write.delete_entry(tx, request.kind, entry_id)


def _below(entries: list[CatalogEntry], region_id: str) -> list[str]:
    """The region and those below it, each once."""
    found = [region_id]
    for parent in found:
        found += [
            entry.id
            for entry in entries
            if entry.kind is EntryKind.REGION and entry.body.get("parent_region_id") == parent and entry.id not in found
        ]
    return found
