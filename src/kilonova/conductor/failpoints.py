# SPDX-License-Identifier: Apache-2.0
"""The failpoints of a conductor: before and after each of its transactions."""

from dataclasses import replace

from kilonova.conductor import idempotency, image_stores, images, server_edits, signing_keys
from kilonova.conductor.engine import accept, cancel, hand_out, reports
from kilonova.conductor.host_endpoint import HostEndpoint
from kilonova.conductor.hosts import adoption, conflicts, forgotten, guests, processes, register
from kilonova.conductor.hosts import reports as service_reports
from kilonova.conductor.placement import place
from kilonova.conductor.tools import Tools
from kilonova.conductor.verify import database as verify_database
from kilonova.conductor.watch import auto_confirm, deadlines, offload
from kilonova.db import space
from kilonova.db.breakable import BreakableDatabase, Names, of_writes
from kilonova.db.writers import liveness, notifications, purge, rounds

TRANSACTIONS: Names = {
    # of requests
    idempotency.create: "create",
    accept.accept: "accept",
    cancel.cancel: "cancel",
    place.place: "place",
    server_edits.edit_metadata: "edit_metadata",
    # of hosts
    HostEndpoint.admit: "register_host",
    processes.refused: "refuse_process",
    processes.leave: "leave",
    conflicts.contest: "contest",
    hand_out.hand_out: "hand_out",
    reports.finish: "finish",
    reports.record_events: "record_events",
    guests.report_states: "report_states",
    guests.notify: "notify",
    forgotten.copies_removed: "copies_removed",
    register.report_inventory: "report_inventory",
    register.set_enabled: "set_enabled",
    images.begin: "begin_image",
    images.complete: "complete_image",
    images.drop: "drop_images",
    # of operators
    register.operator_update: "update_service",
    forgotten.forget: "forget_host",
    adoption.adopt: "adopt_host",
    image_stores.forget: "forget_store",
    image_stores.report: "report_store",
    image_stores.record_copy: "record_copy",
    signing_keys.rotate: "rotate_key",
    verify_database.mend: "mend_database",
    # of watches
    notifications.number: "number_notifications",
    notifications.record_published: "record_published",
    rounds.claim: "claim_round",
    liveness.call_up: "call_up",
    liveness.call_down: "call_down",
    liveness.suspect: "suspect",
    offload.begin: "offload",
    auto_confirm.confirm_due: "confirm_due",
    deadlines.count_time: "count_time",
    deadlines.expire: "expire",
    deadlines.move_windows_once: "move_windows",
    service_reports.report: "report_service",
    service_reports.forget_old: "forget_reports",
    purge.purge_servers: "purge_servers",
    purge.purge_actions: "purge_actions",
    purge.purge_expired: "purge_expired",
    purge.remove_rows: "remove_purged_rows",
    space.give_back: "give_back_space",
}
"""Each transaction of the conductor, with its name.  Those that are the whole of a method are `edit` (breakable.EDIT);
tests/unit/conductor/test_failpoints.py finds a missing one."""

NAMES = of_writes(TRANSACTIONS)


def with_failpoints(tools: Tools) -> Tools:
    """The tools, with a database that breaks where failpoints are armed."""
    if not tools.failpoints.is_active:
        return tools
    return replace(tools, db=BreakableDatabase(tools.db, tools.failpoints, TRANSACTIONS))
