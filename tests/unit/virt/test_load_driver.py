# SPDX-License-Identifier: Apache-2.0
"""Loading a driver by name: one clear sentence for each way that it can go wrong."""

import sys
from pathlib import Path

import pytest

from kilonova.base.clock import SystemClock
from kilonova.base.errors import DriverLoadError
from kilonova.compute.virtapi import ComputeVirtAPI
from kilonova.config.load import load
from kilonova.virt.driver import ComputeDriver, load_compute_driver


def load_it(name: str, *, read_only: bool = False) -> ComputeDriver:
    return load_compute_driver(ComputeVirtAPI(SystemClock()), name, load(), read_only=read_only)


@pytest.mark.parametrize("name", ["fake.FakeDriver", "kilonova.virt.fake.FakeDriver", "libvirt.LibvirtDriver"])
def test_short_names_and_dotted_paths(name: str) -> None:
    assert type(load_it(name)).__name__ == name.rpartition(".")[2]


def test_read_only_is_an_argument_of_the_constructor() -> None:
    assert load_it("fake.FakeDriver", read_only=True).read_only


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "required, but not set"),
        ("FakeDriver", "neither module.Class nor a known entry point"),
        ("xen.XenDriver", "was not found"),
        ("fake.NoDriver", "module kilonova.virt.fake has no class NoDriver"),
        ("fake.FakeHypervisor", "is not a ComputeDriver"),
        ("broken_driver_module.Driver", "cannot be imported: No module named 'no_such_dependency'"),
    ],
)
def test_each_way_to_fail_is_one_sentence(
    name: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_driver_module.py").write_text("import no_such_dependency\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DriverLoadError, match=words) as caught:
        load_it(name)
    assert "\n" not in str(caught.value)
    sys.modules.pop("broken_driver_module", None)


def test_a_third_partys_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "third_party.py").write_text(
        "from kilonova.virt.fake import FakeDriver\nclass TheirDriver(FakeDriver):\n    pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    assert type(load_it("third_party.TheirDriver")).__name__ == "TheirDriver"
