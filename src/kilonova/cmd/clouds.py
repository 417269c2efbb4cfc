# SPDX-License-Identifier: Apache-2.0
"""The clouds.yaml that OpenStack's clients read."""

import os
from pathlib import Path

from kilonova.base.errors import StateError

FORGOTTEN = "<the password that was shown at the first start>"

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


def write(path: Path, text: str) -> None:
    """Write it readable by its owner only; a file that holds a password is not replaced by one that does not.

    Raises StateError.
    """
    try:
        if FORGOTTEN in text and path.exists():
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)
    except OSError as exc:
        raise StateError(f"{path} cannot be written: {exc.strerror}.") from exc
