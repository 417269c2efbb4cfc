# SPDX-License-Identifier: Apache-2.0
"""What a host offers, by libvirt's documents."""

import libvirt

from kilonova.objects.hardware import Offer
from kilonova.virt.libvirt.host.capabilities import parse, read_offer

CAPABILITIES = """<capabilities><guest><arch name='i686'><machine>pc</machine></arch></guest><guest>
  <arch name='x86_64'><machine>pc-i440fx-7.2</machine><machine canonical='pc-i440fx-7.2'>pc</machine>
  <machine>pc-q35-7.2</machine><machine canonical='pc-q35-7.2'>q35</machine><machine>microvm</machine>
  <domain type='kvm'><machine>pc</machine></domain></arch></guest></capabilities>"""


def enum(name: str, *values: str) -> str:
    return f"<enum name='{name}'>{''.join(f'<value>{value}</value>' for value in values)}</enum>"


def document(*, buses: tuple[str, ...], firmware: str = "", secure: str = "no", tpm: str = "") -> str:
    return (
        f"<domainCapabilities><os>{enum('firmware', *firmware.split())}"
        f"<loader>{enum('type', 'rom')}{enum('secure', *secure.split())}</loader></os>"
        f"<devices><disk>{enum('bus', *buses)}</disk><video>{enum('modelType', 'vga', 'none')}</video>{tpm}</devices>"
        "</domainCapabilities>"
    )


PC = document(buses=("ide", "virtio"))
SWTPM = f"<tpm>{enum('model', 'tpm-tis', 'tpm-crb')}{enum('backendModel', 'passthrough', 'emulator')}</tpm>"
OWN_TPM = f"<tpm>{enum('model', 'tpm-tis')}{enum('backendModel', 'passthrough')}</tpm>"


def test_a_plain_host() -> None:
    assert parse("qemu", CAPABILITIES, document(buses=("sata", "virtio"), tpm=OWN_TPM), PC) == Offer(
        architectures=("i686", "x86_64"),
        hypervisor_types=("qemu",),
        machines=("pc", "pc-i440fx-7.2", "pc-q35-7.2", "q35"),
        disk_buses=("ide", "sata", "virtio"),
        video_models=("none", "vga"),
        firmwares=("bios",),
    )


def test_a_host_with_ovmf_and_swtpm() -> None:
    rich = document(buses=("virtio",), firmware="bios efi", secure="yes no", tpm=SWTPM)
    offer = parse("kvm", CAPABILITIES, rich, PC)
    assert offer.hypervisor_types == ("kvm", "qemu")
    assert (offer.firmwares, offer.secure_boot) == (("bios", "uefi"), ("required",))
    assert offer.tpms == ("2.0", "tpm-crb", "tpm-tis")
    told = SWTPM.replace("</tpm>", f"{enum('backendVersion', '1.2', '2.0')}</tpm>")
    assert parse("kvm", CAPABILITIES, document(buses=(), tpm=told), PC).tpms[:2] == ("1.2", "2.0")


def test_a_driver_that_cannot_say_it_offers_nothing() -> None:
    conn = libvirt.open("test:///default")
    try:
        assert read_offer(conn, "test") == Offer()
    finally:
        conn.close()
