# SPDX-License-Identifier: Apache-2.0
"""What the record of a host shows, as findings of the doctor.  Pure: it needs no answer of the host."""

from datetime import datetime

from kilonova import CODE_VERSION
from kilonova.objects.examination import ReportedFinding
from kilonova.objects.service import ComputeNode, Service


def findings(service: Service, node: ComputeNode | None, now: datetime) -> tuple[ReportedFinding, ...]:
    """The findings.  `service.updated_at` is the time of its last heartbeat; `node` None: it has not reported yet."""
    return (_heartbeats(service, now), _in_service(service), _version(service), *_of_node(node))


def _heartbeats(service: Service, now: datetime) -> ReportedFinding:
    name, host = "heartbeats", service.host
    age_s = max(0.0, (now - service.updated_at).total_seconds())
    if service.forced_down:
        cure = f"openstack compute service set --up {host} nova-compute, when the host may work again."
        return ReportedFinding(name, "warning", "An operator has forced this host down.", cure)
    if service.up:
        return ReportedFinding(name, "ok", f"The last heartbeat came {age_s:.0f} s ago.")
    cure = "Look at kilonova-compute on the host. For its servers, see docs/lost-hosts.md."
    return ReportedFinding(name, "error", f"The host is down: the last heartbeat came {age_s:.0f} s ago.", cure)


def _in_service(service: Service) -> ReportedFinding:
    name, reason = "in-service", service.disabled_reason or "no reason was given"
    if not service.disabled:
        return ReportedFinding(name, "ok", "The host is enabled.")
    if service.disabled_by_host:
        cure = "Correct the other errors; the host enables itself when its hypervisor answers."
        return ReportedFinding(name, "error", f"The host has disabled itself: {reason}", cure)
    cure = f"openstack compute service set --enable {service.host} nova-compute"
    return ReportedFinding(name, "note", f"An operator has disabled the host: {reason}", cure)


def _version(service: Service) -> ReportedFinding:
    name = "code-version"
    if service.version == CODE_VERSION:
        return ReportedFinding(name, "ok", f"The host has the code version of this process ({CODE_VERSION}).")
    message = f"The host has code version {service.version}, and this process has {CODE_VERSION}."
    return ReportedFinding(name, "warning", message, "Finish the upgrade (docs/upgrade.md).")


def _of_node(node: ComputeNode | None) -> tuple[ReportedFinding, ...]:
    if node is None:
        cure = "A host reports after its start, as soon as its hypervisor answers."
        return (ReportedFinding("inventory", "warning", "The host has not reported its resources.", cure),)
    found: list[ReportedFinding] = []
    if node.inventory.disk_short:
        message = f"No new disks are placed here: {node.inventory.disk_short}."
        found.append(ReportedFinding("inventory", "warning", message, "Free some space, or use a larger disk."))
    if node.failed_builds:
        message = f"Builds that failed here in the last hour for a reason of the host: {node.failed_builds}."
        cure = "The faults of these servers have the reason; placement avoids the host."
        found.append(ReportedFinding("failed-builds", "warning", message, cure))
    return tuple(found)
