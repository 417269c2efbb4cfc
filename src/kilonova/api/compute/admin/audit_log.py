# SPDX-License-Identifier: Apache-2.0
"""/os-instance_usage_audit_log: which hosts have recorded their usage of the last month.

No host has: usage is not recorded, as in Nova without `instance_usage_audit`.

Source: Compute API reference, "Server usage audit log (os-instance-usage-audit-log)"; Nova's period is a month.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from typing_extensions import TypedDict

from kilonova.api.http.call import Call, Reply
from kilonova.api.http.route import DefaultPolicy, Route
from kilonova.api.http.views import Member, View
from kilonova.base.errors import InvalidInput
from kilonova.db.readers import hosts
from kilonova.db.readers.hosts import COMPUTE

_FORMS = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S.%f")


class UsageAuditLog(TypedDict):
    """Which hosts have recorded their usage of a month."""

    period_beginning: str
    period_ending: str
    num_hosts: int
    num_hosts_done: int
    num_hosts_running: int
    num_hosts_not_run: int
    hosts_not_run: Sequence[str]
    total_instances: int
    total_errors: int
    overall_status: str
    log: dict[str, str]


_LAST = View[UsageAuditLog, Call]("", Member("instance_usage_audit_logs", UsageAuditLog, lambda log, _: log))
_BEFORE = View[UsageAuditLog, Call]("", Member("instance_usage_audit_log", UsageAuditLog, lambda log, _: log))


async def show_last(call: Call) -> Reply:
    """Show the usage audit log of the last whole month."""
    now = call.deps.clock.now().replace(tzinfo=None)
    return _LAST.reply(await _log(call, now), call)


async def show_before(call: Call) -> Reply:
    """Show the usage audit log of the last whole month before a time."""
    return _BEFORE.reply(await _log(call, _time_of(call.params["before"])), call)


def _time_of(text: str) -> datetime:
    for form in _FORMS:
        try:
            at = datetime.strptime(text, form)  # noqa: DTZ007 (it is UTC, as Nova takes it)
            _month_before(at)
        except (ValueError, OverflowError):
            continue
        return at
    raise InvalidInput(f"Invalid timestamp for date {text[:64]}", path="before")


def _month_before(at: datetime) -> tuple[datetime, datetime]:
    """Beginning and end of the last month that ended before a time."""
    end = at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if end >= at:
        end = (end - timedelta(days=1)).replace(day=1)
    return (end - timedelta(days=1)).replace(day=1), end


async def _log(call: Call, before: datetime) -> UsageAuditLog:
    services = await call.db.read(hosts.list_services, binary=COMPUTE)
    names = sorted({service.host for service in services})
    begin, end = _month_before(before)
    done = f"0 of {len(names)}" if names else "ALL"
    return {
        "period_beginning": str(begin),
        "period_ending": str(end),
        "num_hosts": len(names),
        "num_hosts_done": 0,
        "num_hosts_running": 0,
        "num_hosts_not_run": len(names),
        "hosts_not_run": names,
        "total_instances": 0,
        "total_errors": 0,
        "overall_status": f"{done} hosts done. 0 errors.",
        "log": {},
    }


ROUTES = (
    Route("GET", "/os-instance_usage_audit_log", show_last, "os_compute_api:os-instance-usage-audit-log:list",
        DefaultPolicy.ADMIN, reply=_LAST),
    Route("GET", "/os-instance_usage_audit_log/{before}", show_before,
        "os_compute_api:os-instance-usage-audit-log:show", DefaultPolicy.ADMIN,
        reply=_BEFORE),
)  # fmt: skip
