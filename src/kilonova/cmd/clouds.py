# SPDX-License-Identifier: Apache-2.0
"""The clouds.yaml that OpenStack clients read: a new file, or a new entry in a file that has other clouds."""

import os
import textwrap
from pathlib import Path
from typing import Any

from kilonova.base.errors import StateError
from kilonova.base.files import replace_file

FORGOTTEN = "<the password that was shown at the first start>"
NAME = "kilonova"

TEMPLATE = """\
clouds:
  kilonova:
    auth:
      auth_url: {url}/identity/v3
      username: admin
      password: {password}
      project_name: admin
      user_domain_id: default
      project_domain_id: default
    region_name: RegionOne
    identity_api_version: 3
"""


def clouds_yaml(url: str, password: str | None) -> str:
    """The text of the file.  Without a password (only its hash is stored) it has a reminder in its place."""
    return TEMPLATE.format(url=url, password=password or f'"{FORGOTTEN}"')


def check_writable(path: Path, *, first_start: bool) -> None:
    """Check the file before a password is created that is stored nowhere else.  Creates the directory.  Raises
    StateError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise StateError(f"{path} cannot be written: no write permission for {path.parent}.")
        _with_ours(path, _read(path), "http://127.0.0.1", "a password" if first_start else None)
    except OSError as exc:
        raise StateError(f"{path} cannot be written: {exc.strerror}.") from exc


def write(path: Path, url: str, password: str | None) -> None:
    """Add our cloud to the file, readable by its owner only.  Other clouds and comments do not change.

    An entry of our name with a password does not change either: it may belong to another service.  Raises StateError;
    the file is then unchanged.
    """
    try:
        text = _with_ours(path, before := _read(path), url, password)
        if text != before:
            replace_file(path.resolve(), text.encode())
    except OSError as exc:
        raise StateError(f"{path} cannot be written: {exc.strerror}.") from exc


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as exc:
        raise StateError(f"{path} is not a clouds.yaml: choose another file.") from exc


def _with_ours(path: Path, text: str, url: str, password: str | None) -> str:
    ours = clouds_yaml(url, password)
    if not text.strip():
        return ours
    if password is None and f"{NAME}:" in text:  # later starts do not have to load the parser
        return text
    found = _parsed(path, text)
    if NAME not in found["clouds"]:
        return _inserted(path, text, ours)
    if password is None:
        return text
    if FORGOTTEN not in str(found["clouds"][NAME]):
        raise StateError(
            f"{path} already has a cloud called {NAME}, and its password may be stored nowhere else: choose another "
            "file, or remove that cloud from it."
        )
    if len(found) > 1 or len(found["clouds"]) > 1:
        raise StateError(f"{path} has an old cloud called {NAME} among others: remove it, or choose another file.")
    return ours


def _parsed(path: Path, text: str) -> dict[str, Any]:
    found = _loads(text)
    if not isinstance(found, dict) or not isinstance(found.get("clouds"), dict):
        raise StateError(f"{path} exists and is not a clouds.yaml: choose another file.")
    return found


def _inserted(path: Path, text: str, ours: str) -> str:
    """The text with our cloud before the first cloud, with the same indentation.  Nothing else changes."""
    import yaml

    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    clouds = next(value for key, value in root.value if key.value == "clouds")
    expected = yaml.safe_load(text)
    expected["clouds"] |= yaml.safe_load(ours)["clouds"]
    if clouds.value and not clouds.flow_style:
        begin = clouds.value[0][0].start_mark
        lines = text.splitlines(keepends=True)
        entry = textwrap.dedent(ours.partition("\n")[2])
        lines.insert(begin.line, textwrap.indent(entry, " " * begin.column))
        if _loads("".join(lines)) == expected:
            return "".join(lines)
    raise StateError(f"A cloud cannot be added to {path} because of its layout: choose another file.")


def _loads(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None
