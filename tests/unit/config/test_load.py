# SPDX-License-Identifier: Apache-2.0
"""Configuration: Nova's names, frozen, refused in one sentence."""

from pathlib import Path

import pytest

from kilonova.base.errors import ConfigError
from kilonova.config.default import watermark_bytes
from kilonova.config.load import load


def test_a_file_in_the_form_of_nova_conf(tmp_path: Path) -> None:
    file = tmp_path / "nova.conf"
    file.write_text(
        "[DEFAULT]\nhost = h1\nreserved_host_memory_mb = 64\n[libvirt]\nvirt_type = qemu\ncpu_models = a,b\n"
    )
    settings = load([str(file)])
    assert (settings.default.host, settings.default.reserved_host_memory_mb) == ("h1", 64)
    assert (settings.libvirt.virt_type, settings.libvirt.cpu_models) == ("qemu", ("a", "b"))
    with pytest.raises(AttributeError):
        settings.default.host = "h2"  # type: ignore[misc]


def test_two_loads_share_nothing() -> None:
    first = load(overrides={("DEFAULT", "host"): "a"})
    assert (first.default.host, load(overrides={("DEFAULT", "host"): "b"}).default.host) == ("a", "b")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[libvirt]\nvirt_type = xen\n", "xen"),
        ("[DEFAULT]\nmax_concurrent_builds = many\n", "many"),
        ("[api]\nport = 70000\n", "port"),
        ("[DEFAULT]\ndisk_watermark = 5 GiB\n", "disk_watermark"),
        ("this is no configuration", "nova.conf"),
    ],
)
def test_a_bad_value_is_one_sentence(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "nova.conf"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load([str(file)])
    assert str(caught.value).startswith("The configuration cannot be used")


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
