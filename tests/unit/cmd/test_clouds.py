# SPDX-License-Identifier: Apache-2.0
"""The clouds.yaml: ours is put into it, and nothing that was in it is lost."""

from pathlib import Path

import pytest
import yaml

from kilonova.base.errors import StateError
from kilonova.cmd import clouds

URL = "http://127.0.0.1:8774"
OTHERS = """\
# mine
clouds:
    work:   # the one that pays
        auth: {auth_url: "https://work.example/v3", username: ann}
    "home": &h
        region_name: RegionOne
cache: {expiration_time: 60}
"""


def test_it_is_the_owners_only_and_a_password_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "new/directory/clouds.yaml"
    clouds.check_writable(path, first_start=True)
    clouds.write(path, URL, "hunter2")
    assert path.stat().st_mode & 0o777 == 0o600
    clouds.write(path, URL, None)
    assert yaml.safe_load(path.read_text())["clouds"]["kilonova"]["auth"]["password"] == "hunter2"


def test_ours_is_put_among_others_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text(OTHERS)
    clouds.check_writable(path, first_start=True)
    assert path.read_text() == OTHERS
    clouds.write(path, URL, "hunter2")
    kept = path.read_text().splitlines()
    found = yaml.safe_load(path.read_text())["clouds"]
    assert found.pop("kilonova") == yaml.safe_load(clouds.clouds_yaml(URL, "hunter2"))["clouds"]["kilonova"]
    assert found == yaml.safe_load(OTHERS)["clouds"]
    assert [line for line in OTHERS.splitlines() if line not in kept] == []
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["clouds.yaml"]


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text(OTHERS)
    (tmp_path / "link.yaml").symlink_to("real.yaml")
    clouds.write(tmp_path / "link.yaml", URL, "hunter2")
    assert "hunter2" in (tmp_path / "real.yaml").read_text()
    assert (tmp_path / "link.yaml").is_symlink()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("notes to myself\n", "is not a clouds.yaml"),
        ("clouds: [a, b]\n", "is not a clouds.yaml"),
        ("clouds: {", "is not a clouds.yaml"),
        ("clouds: {work: {auth: {}}}\n", "because of its layout"),
        (clouds.clouds_yaml(URL, "older"), "already has a cloud called kilonova"),
        (clouds.clouds_yaml(URL, None) + "cache: {expiration_time: 60}\n", "an old cloud called kilonova"),
        (OTHERS + "#\n", ""),
        (clouds.clouds_yaml(URL, None), ""),
        ("\n", ""),
    ],
)
def test_what_could_be_lost_is_refused_before_and_after(tmp_path: Path, text: str, why: str) -> None:
    path = tmp_path / "clouds.yaml"
    path.write_text(text)
    if not why:
        clouds.check_writable(path, first_start=True)
        clouds.write(path, URL, "hunter2")
        assert "hunter2" in path.read_text()
        return
    with pytest.raises(StateError, match=why):
        clouds.check_writable(path, first_start=True)
    with pytest.raises(StateError, match=why):
        clouds.write(path, URL, "hunter2")
    assert path.read_text() == text


def test_a_later_start_takes_a_file_that_has_ours(tmp_path: Path) -> None:
    path = tmp_path / "clouds.yaml"
    for text in (
        clouds.clouds_yaml(URL, "older"),
        clouds.clouds_yaml(URL, "older").replace("kilonova:", '"kilonova":'),
    ):
        path.write_text(text)
        clouds.check_writable(path, first_start=False)
        clouds.write(path, URL, None)
        assert path.read_text() == text
