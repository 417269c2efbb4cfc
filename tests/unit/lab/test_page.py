# SPDX-License-Identifier: Apache-2.0
"""The rules for the code of the web page find what they forbid, and the vendored files are whole."""

from pathlib import Path

import pytest

from lab import page_rules, vendor
from lab.common import LabError

LICENCE = "// SPDX-License-Identifier: Apache-2.0\n"


@pytest.mark.parametrize(
    "line",
    [
        "element.innerHTML = name;",
        "html`<p dangerouslySetInnerHTML=${{ __html: name }} />`",
        'place.insertAdjacentHTML("beforeend", name);',
        "new Function(name)();",
        'fetch("https://example.org/");',
        'console.log("here");',
        'html`<p style="color: red">${name}</p>`',
    ],
)
def test_a_breach_is_found(tmp_path: Path, line: str) -> None:
    module = tmp_path / "module.js"
    module.write_text(f"{LICENCE}{line}\n")
    (found,) = page_rules.findings(module)
    assert found.startswith(f"{module}:2: ")


def test_a_module_without_a_licence_or_with_too_many_lines_is_found(tmp_path: Path) -> None:
    module = tmp_path / "module.js"
    module.write_text("\n" * (page_rules.FILE_LIMIT + 1))
    assert len(list(page_rules.findings(module))) == 2


def test_an_innocent_module_has_no_findings(tmp_path: Path) -> None:
    module = tmp_path / "module.js"
    module.write_text(f'{LICENCE}export const mark = html`<svg xmlns="http://www.w3.org/2000/svg"></svg>`;\n')
    assert list(page_rules.findings(module)) == []


def test_a_changed_vendored_file_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(page_rules.changed_vendored_files()) == []
    found = vendor.file_hashes() | {"preact/preact.js": "other"}
    monkeypatch.setattr(page_rules, "file_hashes", lambda: found)
    (line,) = page_rules.changed_vendored_files()
    assert "vendor/preact/preact.js" in line


def test_every_package_has_its_licence_beside_it() -> None:
    served, _ = vendor.read_manifest()
    for package in served:
        assert package.licence in ("MIT", "Apache-2.0", "MPL-2.0")
        assert list((vendor.VENDOR / package.name).glob("LICENSE*")), package.name


def test_each_machine_has_one_type_checker_of_the_same_version() -> None:
    found = {machine: vendor.type_checker(machine) for machine in ("x86_64", "aarch64")}
    assert len(set(found.values())) == 2
    versions = {package.version for machine in found for package in vendor.read_manifest(machine)[1] if package.machine}
    assert len(versions) == 1
    with pytest.raises(LabError, match="no type checker for m68k machines"):
        vendor.type_checker("m68k")


def test_the_start_loads_no_library_of_consoles_or_plots() -> None:
    text = (vendor.UI / "static/index.html").read_text()
    preloaded = "\n".join(line for line in text.splitlines() if "modulepreload" in line)
    for name in ("xterm", "novnc", "uplot", "js-yaml"):
        assert name not in preloaded
