# SPDX-License-Identifier: Apache-2.0
"""The parts of a domain, from its flavor's and image's requirements."""

from kilonova.objects.hardware import OPTIONAL, REQUIRED, Hardware
from kilonova.virt.libvirt.xml.devices import (
    AgentChannel,
    Balloon,
    Device,
    EmulatedTpm,
    RandomNumbers,
    ScsiController,
    Serial,
    Tablet,
    UsbController,
    Video,
    VncScreen,
    Watchdog,
)
from kilonova.virt.libvirt.xml.platform import Clock, Firmware

USB = "usb"
NO_VIDEO = "none"
USUAL_VIDEO = "vga"
"""Every firmware, boot loader and system draws on it without a driver of its own."""


def firmware(hardware: Hardware, *, can_secure_boot: bool) -> Firmware:
    """`can_secure_boot`: whether this host's firmware supports secure boot, for images that want it only then."""
    secure = hardware.secure_boot == REQUIRED or (
        hardware.secure_boot == OPTIONAL and can_secure_boot and hardware.is_q35
    )
    return Firmware(hardware.uefi, hardware.uefi and secure, hardware.boot_menu)


def clock(hardware: Hardware) -> Clock:
    """The guest's clock."""
    return Clock(hardware.windows, hardware.hpet)


def devices(hardware: Hardware, log: str, agent_socket: str | None, *, vnc: bool) -> tuple[Device, ...]:
    """All devices except disks and NICs, in their order.  `vnc`: with a screen, unless the image wants none."""
    has_screen = vnc and hardware.video_model != NO_VIDEO
    has_usb = has_screen or USB in (hardware.disk_bus, hardware.cdrom_bus)
    found: list[Device] = [UsbController("qemu-xhci" if has_usb else "none")]
    if hardware.scsi_model is not None:
        found.append(ScsiController(hardware.scsi_model))
    found.append(Serial(log))
    if hardware.guest_agent:
        found.append(AgentChannel(agent_socket))
    found.append(Balloon())
    if hardware.rng is not None:
        found.append(RandomNumbers(hardware.rng.rate_bytes, hardware.rng.rate_period))
    if has_screen:
        found += [Tablet(), VncScreen()]
    if has_screen or hardware.video_model not in (None, NO_VIDEO):
        found.append(Video(hardware.video_model or USUAL_VIDEO))
    if hardware.watchdog is not None:
        found.append(Watchdog(hardware.watchdog))
    if hardware.tpm is not None:
        found.append(EmulatedTpm(hardware.tpm.model, hardware.tpm.version))
    return tuple(found)
