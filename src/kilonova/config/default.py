# SPDX-License-Identifier: Apache-2.0
"""[DEFAULT]: the host, its driver, its resources, its periods."""

import os
import socket
from dataclasses import dataclass, field, replace
from pathlib import Path

from oslo_config import cfg

OPTIONS = [
    cfg.StrOpt("host", default="", help="Name of this host in the fleet; empty means its host name."),
    cfg.StrOpt("my_ip", default="127.0.0.1", help="Address of this host on the management network."),
    cfg.StrOpt("compute_driver", default="libvirt.LibvirtDriver", help="Driver: short name, dotted path, entry point."),
    cfg.StrOpt("compute_topic", default="compute", help="Topic (subject prefix) on which hosts listen."),
    cfg.StrOpt(
        "transport_url",
        default="",
        secret=True,
        help="NATS servers, for processes on their own: nats://[user:password@]host:port or tls://host:port, several "
        "with commas. Beyond loopback a user or transport_credentials is required.",
    ),
    cfg.StrOpt(
        "transport_credentials",
        default="",
        help="File from `kilonova host enroll` or `kilonova bus credentials`: addresses, CA and credentials of the "
        "bus. A new file is used without a restart.",
    ),
    cfg.StrOpt("transport_ca_file", default="", help="CA of the NATS servers in PEM; empty: the credentials file's."),
    cfg.StrOpt("transport_cert_file", default="", help="Client certificate in PEM, for NATS servers that require one."),
    cfg.StrOpt("transport_key_file", default="", help="Key of transport_cert_file; empty: in the same file."),
    cfg.StrOpt(
        "state_path",
        default="",
        help="Directory of all of the service's own state; empty: /var/lib/kilonova for root, else kilonova in the "
        "user's XDG state directory.",
    ),
    cfg.StrOpt(
        "default_ephemeral_format",
        default="",
        choices=["", "ext4", "xfs", "vfat", "ntfs"],
        help="File system of ephemeral disks; empty: ntfs for images with os_type=windows, else ext4.",
    ),
    cfg.StrOpt("instances_path", default="", help="Directory of guests' disks; empty: state_path/instances."),
    cfg.FloatOpt("report_interval", default=10.0, min=0.01, help="Seconds between heartbeats of a host."),
    cfg.FloatOpt("service_down_time", default=60.0, min=0.1, help="Seconds without heartbeat until a host is down."),
    cfg.FloatOpt("action_poll_interval", default=15.0, min=0.01, help="Seconds between polls of a host for actions."),
    cfg.FloatOpt("update_resources_interval", default=60.0, min=0.1, help="Seconds between inventory reports."),
    cfg.FloatOpt("sync_power_state_interval", default=120.0, min=0.1, help="Seconds between bulk reads of all guests."),
    cfg.FloatOpt(
        "running_deleted_instance_poll_interval",
        default=1800.0,
        min=0.1,
        help="Seconds between searches for guests whose instances were deleted.",
    ),
    cfg.StrOpt(
        "running_deleted_instance_action",
        default="reap",
        choices=["noop", "log", "reap"],
        help="What to do with a guest whose instance was found deleted twice.",
    ),
    cfg.FloatOpt(
        "orphan_report_interval",
        default=600.0,
        min=0.1,
        help="Seconds between searches for guests of no instance.",
    ),
    cfg.IntOpt(
        "reserved_host_memory_mb",
        default=512,
        min=0,
        mutable=True,
        help="MiB of memory that no guest may claim; guests of others on this libvirt also count.",
    ),
    cfg.IntOpt("reserved_host_disk_mb", default=0, min=0, mutable=True, help="MiB of disk that no guest may claim."),
    cfg.StrOpt(
        "disk_watermark",
        default="1",
        regex=r"^\d+(\.\d+)?%?$",
        mutable=True,
        help="Free space for guests' disks below which no guest is placed here: GiB, or a percentage (5%).",
    ),
    cfg.FloatOpt(
        "cpu_allocation_ratio", default=4.0, min=0.1, mutable=True, help="Virtual CPUs offered per physical one."
    ),
    cfg.FloatOpt(
        "ram_allocation_ratio", default=1.0, min=0.1, mutable=True, help="Memory offered per physical memory."
    ),
    cfg.FloatOpt("disk_allocation_ratio", default=1.0, min=0.1, mutable=True, help="Disk offered per physical disk."),
    cfg.IntOpt("max_concurrent_builds", default=10, min=1, help="Builds that a host runs at the same time."),
    cfg.IntOpt("max_concurrent_snapshots", default=5, min=1, help="Disks that a host copies into images at a time."),
    cfg.FloatOpt(
        "shelved_offload_time",
        default=0.0,
        min=-1,
        help="Seconds until a shelved server is offloaded; 0: at once; -1: only on request.",
    ),
    cfg.BoolOpt(
        "resume_guests_state_on_host_boot",
        default=True,
        help="After a host boot, start the guests that should run.",
    ),
    cfg.IntOpt("max_concurrent_resumes", default=3, min=1, help="Guests started at the same time after a boot."),
    cfg.FloatOpt("shutdown_timeout", default=60.0, min=0, help="Seconds that a guest has to shut down."),
    cfg.FloatOpt(
        "resize_confirm_window",
        default=0.0,
        min=0,
        help="Seconds after which a resize is confirmed automatically; 0: never.",
    ),
    cfg.StrOpt("default_availability_zone", default="nova", help="Availability zone of hosts without one."),
    cfg.StrOpt(
        "status_listen",
        default="",
        help="Private status port (/healthz, /metrics): address:port, or the path of a unix socket; empty: none.",
    ),
    cfg.BoolOpt("debug", default=False, mutable=True, help="Also log debug lines."),
]


@dataclass(frozen=True, slots=True)
class DefaultSettings:
    """Durations in seconds, sizes in MiB, as in the options."""

    host: str
    my_ip: str
    compute_driver: str
    compute_topic: str
    transport_url: str = field(repr=False)
    transport_credentials: str
    transport_ca_file: str
    transport_cert_file: str
    transport_key_file: str
    state_path: Path
    default_ephemeral_format: str
    instances_path: Path
    report_interval: float
    service_down_time: float
    action_poll_interval: float
    update_resources_interval: float
    sync_power_state_interval: float
    running_deleted_instance_poll_interval: float
    running_deleted_instance_action: str
    orphan_report_interval: float
    reserved_host_memory_mb: int
    reserved_host_disk_mb: int
    disk_watermark: str
    cpu_allocation_ratio: float
    ram_allocation_ratio: float
    disk_allocation_ratio: float
    max_concurrent_builds: int
    max_concurrent_snapshots: int
    shelved_offload_time: float
    resume_guests_state_on_host_boot: bool
    max_concurrent_resumes: int
    shutdown_timeout: float
    resize_confirm_window: float
    default_availability_zone: str
    status_listen: str
    debug: bool

    @property
    def in_fleet(self) -> bool:
        """Whether the process uses the bus of a fleet."""
        return bool(self.transport_url or self.transport_credentials)


def default_state_path() -> Path:
    """The state directory without an option: the machine's for root, else the user's."""
    if os.geteuid() == 0:
        return Path("/var/lib/kilonova")
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "kilonova"


def watermark_bytes(settings: DefaultSettings, total_bytes: int) -> int:
    """The free space, in bytes, of a file system of that size below which no more guests are placed there: the
    watermark, but at least the disk that the operator reserves."""
    text = settings.disk_watermark
    figure = total_bytes * float(text[:-1]) / 100 if text.endswith("%") else float(text) * (1 << 30)
    return max(int(figure), settings.reserved_host_disk_mb << 20)


def kept_from_images(settings: DefaultSettings, total_bytes: int) -> int:
    """The free space, in bytes, that images must leave on a file system of that size: twice what guests need, so that
    images never prevent guests; on a small file system a fifth."""
    return min(2 * watermark_bytes(settings, total_bytes), total_bytes // 5)


def reloaded(running: DefaultSettings, fresh: DefaultSettings) -> DefaultSettings:
    """The running settings, with the options that may change at run time (`mutable`) from the new settings."""
    return replace(running, **{opt.name: getattr(fresh, opt.name) for opt in OPTIONS if opt.mutable})


def settings(group: cfg.ConfigOpts) -> DefaultSettings:
    """The frozen settings; the host name is looked up here, once."""
    values = {opt.name: group[opt.name] for opt in OPTIONS}
    state_path = Path(values["state_path"] or default_state_path()).expanduser().absolute()
    values["state_path"] = state_path
    values["instances_path"] = Path(values["instances_path"] or state_path / "instances").expanduser().absolute()
    values["host"] = values["host"] or socket.gethostname()
    return DefaultSettings(**values)
