# SPDX-License-Identifier: Apache-2.0
"""All checks, in the order in which they are shown."""

from functools import partial

from kilonova.config.load import Settings
from kilonova.doctor import files, guests, hypervisor, images, kvm, network, service
from kilonova.doctor.examine import Check, SurveyCheck, run_checks
from kilonova.doctor.finding import Finding
from kilonova.doctor.subject import Subject
from kilonova.virt.libvirt.connection.opening import OpenOptions
from kilonova.virt.libvirt.host import survey
from kilonova.virt.libvirt.host.survey import Survey

CHECKS = (
    Check("configuration", "options can be read and are ours", service.configuration),
    Check("programs", "QEMU and its tools are installed", service.programs),
    Check("kvm-device", "/dev/kvm is there and ours to use", kvm.device),
    Check("kvm-capability-cache", "libvirtd and QEMU's user agree on KVM (48 s per start)", kvm.capability_cache),
    Check("kvm-verdict", "a kernel was seen to boot under KVM", kvm.verdict),
    Check("libvirt-socket", "the daemon listens, awake, and we may talk to it", hypervisor.libvirt_socket),
    Check("libvirt-requests", "calls in flight against the daemon's max_client_requests", hypervisor.requests),
    Check("state-directory", "it is ours, and QEMU can pass to the disks", files.state_directory),
    Check("socket-length", "paths of sockets fit into 107 characters", files.socket_length),
    Check("disk-space", "room for guests, above the watermark", files.disk_space),
    Check("file-system", "what is written stays written", files.file_system),
    Check("identity", "compute_id holds this host's UUID", files.identity_file),
    Check("token-key", "the key that signs tokens is a secret", files.token_key),
    Check("database", "revision, and SQLite's quick_check", service.database, 6.0),
    Check("guest-processes", "no guest's QEMU is stopped", guests.processes),
    Check("orphan-directories", "every guest's directory is an instance's", guests.orphan_directories),
    Check("image-bytes", "every image has its bytes", images.stored_bytes, 5.0),
    Check("firewall", "nobody drops what guests send", network.firewall, 5.0),
    Check("dnsmasq", "it is installed, for NAT networks", network.dnsmasq),
    Check("host-loopback", "guests reach nothing on the host's own 127.0.0.1", network.host_loopback),
    Check("api-port", "free, or served by Kilonova", service.api_port, 4.0),
    Check("service", "a running one is ready: conductor, bus, hypervisor", service.readiness, 5.0),
    Check("message-bus", "the NATS servers of transport_url answer", service.message_bus, 6.0),
    Check("clock", "kept by NTP, not set back, boot id known", service.clock),
)
ON_SURVEY = (
    SurveyCheck("libvirt", "it opens a connection and answers", hypervisor.connection),
    SurveyCheck("libvirt-version", "libvirt, QEMU and binding are new enough", hypervisor.version),
    SurveyCheck("libvirt-keepalive", "a frozen daemon will be noticed", hypervisor.keepalive),
    SurveyCheck("libvirt-stuck", "no guest is held in a start that nobody does", hypervisor.stuck_guests),
    SurveyCheck("guest-disks", "guests' disks and what they lie on are there", guests.disks, guests.disks_by_record),
    SurveyCheck("orphan-domains", "domains with our metadata are instances", guests.orphan_domains),
    SurveyCheck("network-subnet", "guests' subnet collides with no route", network.subnet, network.subnet_by_routes),
    SurveyCheck("bridges", "declared bridges are there; no guest can send as another", network.bridges),
    SurveyCheck("ip-forward", "the host forwards for NAT", network.forwarding, network.forwarding_by_routes),
)


def take(settings: Settings, uri: str) -> Survey | str:
    """A survey of the daemon, opened as the service would open it."""
    ours = settings.libvirt
    options = OpenOptions(
        uri=uri,
        auth_file=ours.auth_file,
        keepalive_interval_s=ours.keepalive_interval,
        keepalive_count=ours.keepalive_count,
    )
    return survey.take(options, settings.network)


def _take(subject: Subject, uri: str) -> Survey | str:
    return hypervisor.stopped(subject) or take(subject.settings, uri)  # one that is stopped is not waited for


async def examine(subject: Subject) -> list[Finding]:
    """Every finding, those of libvirt's kept together; within about eight seconds, whatever hangs."""
    found = await run_checks(subject, CHECKS, ON_SURVEY, partial(_take, subject))
    order = [check.name for check in (*CHECKS[:6], *ON_SURVEY[:4], *CHECKS[6:17], *ON_SURVEY[4:], *CHECKS[17:])]
    return sorted(found, key=lambda finding: order.index(finding.check))
