# SPDX-License-Identifier: Apache-2.0
"""Defects of placement, of the conductor's watches, of the records, of calls and of the table of states."""

from collections.abc import Sequence

from lab.mutant import Defect, Edit, defect

DEADLINES = "conductor/watch/deadlines.py"
PLACE = "conductor/placement/place.py"
STATES = "objects/states.py"

DEFECTS_OF_PLACEMENT: Sequence[Defect] = (
    defect(
        "an action that has a host is placed again",
        "Two conductors place one create: the server is built on two hosts.",
        PLACE,
        "    if work.is_deleted or action.host is not None or not read_actions.is_open(action):\n",
        "    if work.is_deleted or not read_actions.is_open(action):\n",
    ),
    defect(
        "an action that has ended is placed",
        "A server that was deleted while it waited for a host holds a claim and an address for ever.",
        PLACE,
        "    if work.is_deleted or action.host is not None or not read_actions.is_open(action):\n",
        "    if work.is_deleted or action.host is not None:\n",
    ),
    defect(
        "the claim on a host without a free address",
        "Each refused address makes the host smaller, for ever.",
        PLACE,
        "        write_hosts.release(tx, host, instance)\n        return addresses\n",
        "        return addresses\n",
    ),
    defect(
        "the addresses on the host that a server has left",
        "A server that is unshelved on another host keeps its old address reserved, for ever.",
        "conductor/placement/addressing.py",
        "        write_instances.release_addresses(tx, instance.id, but=kept)\n",
        "",
    ),
    defect(
        "a placement that failed is not tried again",
        "A create whose placement met a failure of the database, or the end of a conductor, waits for its deadline.",
        "conductor/service.py",
        "            UNPLACED: claimed(UNPLACED, interval, self._placer.put_unplaced),\n",
        "",
    ),
)

DEFECTS_OF_WATCHES: Sequence[Defect] = (
    Defect(
        "a deadline is an outcome",
        "A start is recorded as failed while its host still carries it out; a build is in ERROR while its guest "
        "comes up.",
        (
            Edit(DEADLINES, "elif not action.leg.ends_by_report and is_overdue(", "elif is_overdue("),
            Edit(DEADLINES, " or action.leg.ends_by_report or not is_overdue(action)", " or not is_overdue(action)"),
        ),
    ),
    defect(
        "time is not counted",
        "No action ever reaches its deadline: a create that finds no host, or a hypervisor that hangs, stays open.",
        DEADLINES,
        "    if open_actions:\n        write_actions.count_open(tx, now)\n",
        "",
    ),
    defect(
        "the time of a standstill counts",
        "After a step of the clock, or after a night without a conductor, all waiting requests fail at once.",
        DEADLINES,
        "        if why is not None or passed > still or passed < -JUMP:\n            write_actions.set_deadline",
        "        if why is not None:\n            write_actions.set_deadline",
    ),
    Defect(
        "a round in the future counts",
        "After the clock was set back by a day, nothing is watched for a day: no deadline, no lost placement.",
        (
            Edit(
                "db/writers/rounds.py",
                'sa.or_(rounds.c.at <= sa.bindparam("before"), rounds.c.at > sa.bindparam("after"))',
                'rounds.c.at <= sa.bindparam("before")',
            ),
            Edit(
                "db/writers/rounds.py",
                '"before": at - interval, "after": at + interval, "now": at',
                '"before": at - interval, "now": at',
            ),
        ),
    ),
    defect(
        "notifications count as published before they are sent",
        "Notifications are lost when a conductor, or its bus, ends at that moment.",
        "conductor/watch/publisher.py",
        "                await self._send(self._confirm, batch)\n"
        "                # What was deleted before it could be sent does not come back.\n"
        "                await self._db.write(write_notifications.record_published, batch.numbered)\n",
        "                await self._db.write(write_notifications.record_published, batch.numbered)\n"
        "                await self._send(self._confirm, batch)\n",
    ),
    defect(
        "the local delete of a server that is deleted already",
        "While a deleted server waits for its lost host, the watch fails in each round: no deadline ends anywhere.",
        "db/readers/actions.py",
        "        actions.c.verb == Verb.DELETE,\n        instances.c.deleted_at.is_(None),\n",
        "        actions.c.verb == Verb.DELETE,\n",
    ),
)

DEFECTS_OF_RECORDS: Sequence[Defect] = (
    defect(
        "a requested address is given twice",
        "Two servers have the same address on one network.",
        "db/writers/instances.py",
        "    return first <= value <= last and "
        "_reserve(tx, *read_addresses.place_of(host, network), value, instance_id)\n",
        "    if not first <= value <= last:\n"
        "        return False\n"
        "    _reserve(tx, *read_addresses.place_of(host, network), value, instance_id)\n"
        "    return True\n",
    ),
    defect(
        "a claim without a limit",
        "Builds that are placed at the same moment get more of a host than it has.",
        "db/writers/hosts.py",
        'return sa.or_(more <= 0, node[f"{name}_used"] + more <= node[f"{name}_capacity"])',
        'return sa.or_(more <= 0, node[f"{name}_used"] <= node[f"{name}_capacity"])',
    ),
    defect(
        "a quota without what is requested",
        "A project gets one more server than its quota, of any size.",
        "db/writers/quotas.py",
        "    most = sa.func.coalesce(own, of_all, default)\n"
        "    return sa.or_(more <= 0, most == UNLIMITED, quota_usages.c[name] + more <= most)\n",
        "    most = sa.func.coalesce(own, of_all, default)\n"
        "    return sa.or_(more <= 0, most == UNLIMITED, quota_usages.c[name] <= most)\n",
    ),
    defect(
        "the order of requests follows the wall clock",
        "After the clock was set back the newest request of a server counts as an old one: its shelved disk is not "
        "found, its abandoned action does not continue.",
        "db/writers/actions.py",
        "    if newest is not None and newest >= action.started_at:\n"
        "        action = replace(action, started_at=newest + _NEXT)\n",
        "",
    ),
)

DEFECTS_OF_CALLS: Sequence[Defect] = (
    defect(
        "the answer does not wait for the record",
        "A stop is answered with 202 before it is on disk: when its message is lost, nobody does it.",
        "api/compute/servers/actions/accept.py",
        "    await call.deps.rpc.call(ACCEPT_ACTION,",
        "    await call.deps.rpc.cast(ACCEPT_ACTION,",
    ),
    Defect(
        "a request that the database refused is answered as accepted",
        "While the disk is full, deletes and stops are answered as accepted, and nothing is recorded.",
        (
            Edit(
                "conductor/api_endpoint.py",
                "from kilonova.base.errors import KilonovaError\n",
                "from kilonova.base.errors import DatabaseUnavailable, KilonovaError\n",
            ),
            Edit(
                "conductor/api_endpoint.py",
                "        host = await self._db.write(accept, request, action_id, self._clock.now(), self._quotas, "
                "self._plans)\n",
                "        host = None\n"
                "        with contextlib.suppress(DatabaseUnavailable):\n"
                "            host = await self._db.write(\n"
                "                accept, request, action_id, self._clock.now(), self._quotas, self._plans\n"
                "            )\n",
            ),
        ),
    ),
    defect(
        "only the last attempt of a call counts",
        "A request whose first attempt was carried out without an answer is reported as not accepted.",
        "rpcapi/caller.py",
        "                unknown = unknown or isinstance(exc, RpcTimeout)\n",
        "                unknown = isinstance(exc, RpcTimeout)\n",
    ),
)

DEFECTS_OF_STATES: Sequence[Defect] = (
    defect(
        "a guest that went off is still active",
        "A server whose guest has shut down shows ACTIVE for ever.",
        STATES,
        "    (VmState.ACTIVE, PowerState.SHUTDOWN): VmState.STOPPED,\n",
        "",
    ),
    defect(
        "a delete has a deadline",
        "A delete whose host is down for an hour ends as failed; the guest returns with the host, and nothing releases "
        "its claim.",
        STATES,
        "600, preempts=True, error_on_failure=True, until_done=True",
        "600, preempts=True, error_on_failure=True",
    ),
    defect(
        "the state of a resized server can be reset",
        "After a reset the resize can be neither confirmed nor reverted: the larger claim and the old disk stay.",
        STATES,
        "Transition(_BUILT - {_V.RESIZED}, None",
        "Transition(_BUILT, None",
    ),
)
