# SPDX-License-Identifier: Apache-2.0
"""[libvirt]: the connection and how guests are made."""

from dataclasses import dataclass

from oslo_config import cfg

GROUP = "libvirt"
OPTIONS = [
    cfg.StrOpt(
        "connection_uri", default="", help="libvirt URI; empty: by virt_type and user (qemu:///system, session)."
    ),
    cfg.StrOpt(
        "virt_type",
        default="auto",
        choices=["auto", "kvm", "qemu", "test"],
        help="auto: kvm when a kernel has booted under it on this machine, qemu otherwise.",
    ),
    cfg.StrOpt(
        "cpu_mode",
        default="",
        choices=["", "none", "host-passthrough", "host-model", "custom", "maximum"],
        help="CPU mode of guests; empty: host-passthrough for kvm, none for qemu.",
    ),
    cfg.ListOpt("cpu_models", default=[], help="The CPU model, for cpu_mode=custom."),
    cfg.StrOpt("auth_file", default="", help="libvirt auth file with name and password for the connection."),
    cfg.IntOpt("keepalive_interval", default=2, min=0, help="Seconds between keepalive messages; 0 turns them off."),
    cfg.IntOpt("keepalive_count", default=3, min=1, help="Unanswered keepalive messages until a connection is lost."),
    cfg.IntOpt(
        "max_client_requests",
        default=5,
        min=2,
        help="Size of the control connection pool, plus one: libvirt calls in flight on guests.",
    ),
    cfg.FloatOpt("call_timeout", default=30.0, min=0.1, help="Seconds that one libvirt call may take."),
    cfg.FloatOpt(
        "guest_pulse_interval",
        default=60.0,
        min=0.0,
        help="Seconds between liveness probes of running guests; 0: no probes.",
    ),
    cfg.FloatOpt(
        "guest_pulse_timeout",
        default=10.0,
        min=0.5,
        help="Seconds after which a guest that does not answer is shown as not responding.",
    ),
    cfg.FloatOpt("connect_timeout", default=10.0, min=0.1, help="Seconds that opening a connection may take."),
]


@dataclass(frozen=True, slots=True)
class LibvirtSettings:
    """Durations in seconds."""

    connection_uri: str
    virt_type: str
    cpu_mode: str
    cpu_models: tuple[str, ...]
    auth_file: str
    keepalive_interval: int
    keepalive_count: int
    max_client_requests: int
    call_timeout: float
    guest_pulse_interval: float
    guest_pulse_timeout: float
    connect_timeout: float


def settings(group: cfg.ConfigOpts.GroupAttr) -> LibvirtSettings:
    """The frozen settings of the group."""
    values = {opt.name: group[opt.name] for opt in OPTIONS}
    values["cpu_models"] = tuple(values["cpu_models"])
    return LibvirtSettings(**values)
