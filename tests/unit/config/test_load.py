# SPDX-License-Identifier: Apache-2.0
"""Configuration: Nova's names, frozen, refused in one sentence."""

import ast
from dataclasses import fields
from ipaddress import ip_address
from pathlib import Path
from typing import get_type_hints

import pytest

import kilonova
from kilonova.base.errors import ConfigError
from kilonova.cmd.service import unknown_options
from kilonova.config.default import watermark_bytes
from kilonova.config.handed_on import handed_on, received
from kilonova.config.load import Settings, load
from kilonova.config.network import LONGEST_PREFIX
from kilonova.networks.addresses import host_network


def test_a_file_in_the_form_of_nova_conf(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    file.write_text(
        "[DEFAULT]\nhost = h1\nreserved_host_memory_mb = 64\n[libvirt]\nvirt_type = qemu\n"
        "cpu_mode = custom\ncpu_models = a\n"
    )
    settings = load([str(file)])
    assert (settings.default.host, settings.default.reserved_host_memory_mb) == ("h1", 64)
    assert (settings.libvirt.virt_type, settings.libvirt.cpu_models) == ("qemu", ("a",))
    with pytest.raises(AttributeError):
        settings.default.host = "h2"  # type: ignore[misc]


def test_two_loads_share_nothing() -> None:
    first = load(overrides={("DEFAULT", "host"): "a"})
    assert (first.default.host, load(overrides={("DEFAULT", "host"): "b"}).default.host) == ("a", "b")


def test_settings_are_handed_on_whole(tmp_path: Path) -> None:
    file = tmp_path / "kilonova.conf"
    file.write_text(f"{WHOLE}[api]\ntrusted = 192.0.2.0/24, 2001:db8::/48\n[libvirt]\nvirt_type = qemu\n")
    settings = load([str(file)])
    assert settings.network.bridges
    assert settings.api.trusted
    assert received(handed_on(settings)) == settings


LAN = "[network]\nbackend = bridge\nbridges = lan\n[network:lan]\n"
WHOLE = LAN + "bridge = br0\ncidr = 192.0.2.0/24\nrange = 192.0.2.10 - 192.0.2.19\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[libvirt]\nvirt_type = xen\n", "xen"),
        ("[DEFAULT]\nmax_concurrent_builds = many\n", "many"),
        ("[api]\nport = 70000\n", "port"),
        ("[console]\nallowed_origins = https://horizon.example\n", "host names only"),
        ("[DEFAULT]\ndisk_watermark = 5 GiB\n", "disk_watermark"),
        ("[DEFAULT]\ncompute_topic = other\n", "compute_topic"),
        ("[libvirt]\ncpu_models = a\n", "cpu_models"),
        ("[libvirt]\ncpu_mode = custom\n", "cpu_models must name one"),
        ("[libvirt]\ncpu_mode = custom\ncpu_models = a,b\n", "cpu_models must name one"),
        ("[libvirt]\ncpu_mode = hots-model\n", "cpu_mode"),
        (WHOLE + "[network]\ncidr = 10.0.0.0/24\n", "cidr"),
        (WHOLE + "[network]\ndns = 10.0.0.1\n", "dns"),
        ("this is no configuration", "nova.conf"),
    ],
)
def test_a_bad_value_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "nova.conf"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load([str(file)])
    assert str(caught.value).startswith("The configuration cannot be used")


def test_networks_on_bridges_have_a_section_each(tmp_path: Path) -> None:
    file = tmp_path / "kilonova.conf"
    file.write_text(WHOLE + "gateway = 192.0.2.1\ndns = 192.0.2.53\nmtu = 9000\n")
    (lan,) = load([str(file)]).network.bridges
    assert (lan.name, lan.bridge, lan.cidr, lan.mtu) == ("lan", "br0", "192.0.2.0/24", 9000)
    assert (lan.first, lan.last, lan.gateway, lan.dns) == ("192.0.2.10", "192.0.2.19", "192.0.2.1", ("192.0.2.53",))
    assert unknown_options([str(file)], []) == ()
    file.write_text(WHOLE + "vlan = 7\n")
    assert unknown_options([str(file)], []) == ("network:lan.vlan",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[network]\nbackend = bridge\n", "bridges names none"),
        ("[network]\nname = lan\n" + WHOLE.replace("= bridge", "= nat"), "two networks called lan"),
        ("[network]\nname = /loopback\n", "not a valid name of a network"),
        ("[network]\ncidr = 10.5.0.0/28\n", "10.5.0.0/28 has no address for a guest"),
        ("[network]\nbackend = user\ncidr = 10.5.0.0/31\n", "has no address for a guest"),
        ("[network]\ncidr = 10.5.0.1/24\n", "host bits set"),
        ("[network]\ncidr = 10.5.0.0/33\n", "cidr"),
        ("[network]\ncidr = fd00::/64\n", "cidr"),
        ("[network]\ncidr = 127.0.0.0/24\n", "no guest can have an address"),
        ("[network]\ndns = resolver.example\n", "not an IPv4 address"),
        (WHOLE + "dns = 192.0.2.53, ::1\n", r"\[network:lan\] dns: '::1' is not an IPv4 address"),
        (LAN + "bridge = br0\ncidr = 192.0.2.0/24\n", r"\[network:lan\] needs range"),
        (WHOLE.replace("0/24", "1/24"), "host bits set"),
        (WHOLE.replace("192.0.2.10 -", ""), "FIRST-LAST"),
        (WHOLE.replace("192.0.2.19", "192.0.3.19"), "within 192.0.2.0/24"),
        (WHOLE + "gateway = 192.0.2.12\n", "outside of the range"),
    ],
)
def test_a_network_that_cannot_be_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "kilonova.conf"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load([str(file)])
    assert "\n" not in str(caught.value)


def test_the_smallest_subnet_has_addresses_for_guests() -> None:
    found = load(overrides={("network", "cidr"): f"10.5.0.0/{LONGEST_PREFIX}"}).network
    assert host_network("kilonova", "nat", found.cidr).bounds == tuple(
        int(ip_address(text)) for text in ("10.5.0.16", "10.5.0.30")
    )


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match="Configuration file not found: /no/such"):
        load(["/no/such"])


def test_a_bad_override_is_refused() -> None:
    with pytest.raises(ConfigError):
        load(overrides={("api", "port"): "seven"})


@pytest.mark.parametrize(
    ("watermark", "reserved_mb", "expected"),
    [("1", 0, 1 << 30), ("0.5", 0, 1 << 29), ("5%", 0, 5 << 30), ("0", 0, 0), ("1", 2048, 2 << 30)],
)
def test_the_watermark_is_a_figure_or_a_share_and_no_less_than_the_reserve(
    watermark: str, reserved_mb: int, expected: int
) -> None:
    overrides = {("DEFAULT", "disk_watermark"): watermark, ("DEFAULT", "reserved_host_disk_mb"): reserved_mb}
    assert watermark_bytes(load(overrides=overrides).default, 100 << 30) == expected


def _read_in(path: Path) -> set[str]:
    """Names of attributes that the code of a file reads."""
    return {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}


RETENTION = ("keep_deleted_days", "max_deleted_servers", "max_actions_per_server")


def test_every_option_is_read_somewhere() -> None:
    """What is in the document of the configuration and is read by nobody would be taken and not obeyed."""
    root = Path(kilonova.__file__).parent
    read = {name for path in root.rglob("*.py") if path.parent.name != "config" for name in _read_in(path)}
    read |= _read_in(root / "config" / "obeyed.py") | {"disk_watermark", *RETENTION}
    # (by default.watermark_bytes, and by database.retention)
    groups = {field.name: get_type_hints(Settings)[field.name] for field in fields(Settings)}
    names = {f"{group}.{field.name}" for group, kind in groups.items() for field in fields(kind)}
    assert {name for name in names if name.partition(".")[2] not in read} == set()
