# SPDX-License-Identifier: Apache-2.0
"""The clouds.yaml that OpenStack's clients read: made anew, or our cloud put into one that has others."""

import os
import tempfile
import textwrap
from pathlib import Path
from typing import Any

from kilonova.base.errors import StateError

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
    """The file's text; without a password (only its hash is kept) a reminder stands in its place."""
    return TEMPLATE.format(url=url, password=password or f'"{FORGOTTEN}"')


def refuse_unless_usable(path: Path, *, first_start: bool) -> None:
    """Before a password is made that is kept nowhere else.  Makes the directory; raises StateError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise StateError(f"{path} cannot be written: no right to write into {path.parent}.")
        _with_ours(path, _read(path), "http://127.0.0.1", "a password" if first_start else None)
    except OSError as exc:
        raise StateError(f"{path} cannot be written: {exc.strerror}.") from exc


def write(path: Path, url: str, password: str | None) -> None:
    """Put our cloud into the file, readable by its owner only; other clouds stay as they are, comments and all.

    A cloud of ours with a password in it stays too: it is not replaced by one without, and may be another service's.
    Raises StateError, and the file is as it was.
    """
    try:
        text = _with_ours(path, before := _read(path), url, password)
        if text != before:
            _replace(path.resolve(), text)
    except OSError as exc:
        raise StateError(f"{path} cannot be written: {exc.strerror}.") from exc


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as exc:
        raise StateError(f"{path} is no clouds.yaml: name another file.") from exc


def _with_ours(path: Path, text: str, url: str, password: str | None) -> str:
    ours = clouds_yaml(url, password)
    if not text.strip():
        return ours
    if password is None and f"{NAME}:" in text:  # each start but the first, which need not wait for a parser
        return text
    found = _parsed(path, text)
    if NAME not in found["clouds"]:
        return _inserted(path, text, ours)
    if password is None:
        return text
    if FORGOTTEN not in str(found["clouds"][NAME]):
        raise StateError(
            f"{path} has a cloud called {NAME} already, whose password may be kept nowhere else: name another file, or "
            "take that cloud out of it."
        )
    if len(found) > 1 or len(found["clouds"]) > 1:
        raise StateError(f"{path} has an old cloud called {NAME} among others: take it out, or name another file.")
    return ours


def _parsed(path: Path, text: str) -> dict[str, Any]:
    found = _loads(text)
    if not isinstance(found, dict) or not isinstance(found.get("clouds"), dict):
        raise StateError(f"{path} is there and is no clouds.yaml: name another file.")
    return found


def _inserted(path: Path, text: str, ours: str) -> str:
    """Ours before the first cloud of the file, in its indentation: nothing else of the text changes."""
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
    raise StateError(f"{path} is not laid out so that a cloud could be put into it: name another file.")


def _loads(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _replace(path: Path, text: str) -> None:
    """Whole or not at all."""
    descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)
        os.replace(part, path)
    except BaseException:
        os.unlink(part)
        raise
