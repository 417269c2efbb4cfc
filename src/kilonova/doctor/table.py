# SPDX-License-Identifier: Apache-2.0
"""All checks, in the order of the report."""

from functools import partial
from importlib import import_module

from kilonova.config.load import Settings
from kilonova.doctor import bus, consoles, database, files, fleet, guests, hypervisor, images, kvm, network, service
from kilonova.doctor.examine import Check, SurveyCheck, run_checks
from kilonova.doctor.finding import Finding
from kilonova.doctor.subject import Subject
from kilonova.virt.libvirt.connection.opening import OpenOptions
from kilonova.virt.libvirt.host import survey
from kilonova.virt.libvirt.host.survey import Survey

SERVER_HANGS = "The server, or the network to it, hangs: look at its log and at its machine."
CHECKS = (
    Check("configuration", "the options are valid and known", service.configuration),
    Check("programs", "QEMU and its tools are installed", service.programs),
    Check("kvm-device", "/dev/kvm exists and this user can use it", kvm.device),
    Check("kvm-capability-cache", "libvirtd and the QEMU user have the same access to KVM", kvm.capability_cache),
    Check("kvm-verdict", "a kernel has booted under KVM", kvm.verdict),
    Check("libvirt-socket", "the daemon listens, runs, and accepts this user", hypervisor.libvirt_socket),
    Check("libvirt-requests", "concurrent calls are below the daemon's max_client_requests", hypervisor.requests),
    Check("state-directory", "this user owns it, and QEMU can pass to the disks", files.state_directory),
    Check("socket-length", "socket paths have at most 107 characters", files.socket_length),
    Check("disk-space", "free space for guests, above the watermark", files.disk_space),
    Check("file-system", "written data survives a reboot", files.file_system),
    Check("identity", "compute_id holds this host's UUID", files.identity_file),
    Check("token-key", "only its owner can read the key that signs tokens", files.token_key),
    Check("database", "revision, and SQLite's quick_check", database.database, 6.0, SERVER_HANGS),
    Check("guest-processes", "no QEMU process of a guest is stopped", guests.processes),
    Check("orphan-directories", "every guest directory belongs to an instance", guests.orphan_directories),
    Check("image-bytes", "every image has its data", images.stored_bytes, 5.0),
    Check("image-cache", "size of the cached images, and space on their disk", images.cached),
    Check("firewall", "no firewall drops the packets of guests", network.firewall, 5.0),
    Check("dnsmasq", "installed, for NAT networks", network.dnsmasq),
    Check("host-loopback", "guests cannot reach services on the host's 127.0.0.1", network.host_loopback),
    Check("api-port", "free, or served by Kilonova", service.api_port, 4.0),
    Check("service", "a running service is ready: conductor, bus, hypervisor", service.readiness, 5.0),
    Check("message-bus", "NATS accepts this host: TLS, credentials, conductor", bus.message_bus, 6.0, SERVER_HANGS),
    Check("bus-credentials", "they do not expire soon, and are not too old", bus.bus_credentials),
    Check("conductor", "answers this process; the clocks agree", fleet.conductor, 7.0, SERVER_HANGS),
    Check("fleet-hosts", "one process per host name; networks agree", fleet.fleet_hosts, 7.0, SERVER_HANGS),
    Check("console-port", "consoles are served; hosts are reached", consoles.console_port, 7.0, SERVER_HANGS),
    Check("clock", "synchronised by NTP, not set back, boot id known", service.clock),
)
OF_EVERY_PROCESS = frozenset(
    {"configuration", "disk-space", "file-system", "database", "api-port", "service", "message-bus", "bus-credentials"}
    | {"conductor", "fleet-hosts", "console-port", "clock"}
)
"""The checks of a process of a fleet that runs no guests: an API process, a conductor, an operator's command."""
ON_SURVEY = (
    SurveyCheck("libvirt", "the daemon opens a connection and answers", hypervisor.connection),
    SurveyCheck("libvirt-version", "libvirt, QEMU and binding are new enough", hypervisor.version),
    SurveyCheck("libvirt-keepalive", "the service detects a frozen daemon", hypervisor.keepalive),
    SurveyCheck("libvirt-stuck", "no guest is in an interrupted start", hypervisor.stuck_guests),
    SurveyCheck("guest-disks", "guest disks and their backing files exist", guests.disks, guests.disks_by_record),
    SurveyCheck("orphan-domains", "domains with our metadata are instances", guests.orphan_domains),
    SurveyCheck("network-subnet", "the guest subnet overlaps no route", network.subnet, network.subnet_by_routes),
    SurveyCheck("bridges", "declared bridges exist; no guest can use foreign addresses", network.bridges),
    SurveyCheck("ip-forward", "the host forwards for NAT", network.forwarding, network.forwarding_by_routes),
)


def take(settings: Settings, uri: str) -> Survey | str:
    """A survey of the daemon over a connection like that of the service."""
    ours = settings.libvirt
    options = OpenOptions(
        uri=uri,
        auth_file=ours.auth_file,
        keepalive_interval_s=ours.keepalive_interval,
        keepalive_count=ours.keepalive_count,
    )
    return survey.take(options, settings.network)


def _take(subject: Subject, uri: str) -> Survey | str:
    return hypervisor.stopped(subject) or take(subject.settings, uri)  # does not wait for a stopped daemon


async def examine(subject: Subject) -> list[Finding]:
    """All findings, with those of libvirt together.  Takes at most about eight seconds, even if something hangs.  A
    process of a fleet that runs no guests has fewer checks."""
    if subject.settings.default.in_fleet:
        import_module("kilonova.rpc.servers")  # before the threads of the checks: nats-py has circular imports
    if subject.runs_guests:
        found = await run_checks(subject, CHECKS, ON_SURVEY, partial(_take, subject))
    else:
        checks = tuple(check for check in CHECKS if check.name in OF_EVERY_PROCESS)
        found = await run_checks(subject, checks, (), lambda _uri: "")
    order = [check.name for check in (*CHECKS[:6], *ON_SURVEY[:4], *CHECKS[6:17], *ON_SURVEY[4:], *CHECKS[17:])]
    return sorted(found, key=lambda finding: order.index(finding.check))
