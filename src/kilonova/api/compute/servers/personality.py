# SPDX-License-Identifier: Apache-2.0
"""Files that a create or a rebuild gives to a guest (up to 2.56).  The config drive contains them, and cloud-init
writes them to their paths.

Source: Compute API reference, "Create Server", personality; Nova's limits, which count characters of the base64 text.
"""

import base64
import binascii
from collections.abc import Sequence

from kilonova.api.http.body import Body
from kilonova.api.http.call import Call
from kilonova.base.errors import InvalidInput, OverQuota
from kilonova.db.readers import quotas
from kilonova.objects.instance import InjectedFile
from kilonova.objects.quota import UNLIMITED


class PersonalityFile(Body):
    """`contents` in base64."""

    path: str
    contents: str


async def files_of(call: Call, files: Sequence[PersonalityFile], path: str) -> tuple[InjectedFile, ...]:
    """The files as they are stored.  Raises InvalidInput, at the member `path`, for invalid base64; OverQuota for too
    many files, too long a path or too much content."""
    for file in files:
        try:
            base64.b64decode("".join(file.contents.split()), validate=True)
        except (binascii.Error, ValueError) as exc:
            raise InvalidInput("The contents of a file are not valid base64.", path=path) from exc
    if files:
        limits = await call.db.read(quotas.limits, call.deps.quotas.defaults, call.context.project_id)
        sizes = {
            "injected_files": (len(files), "Personality file limit exceeded."),
            "injected_file_path_bytes": (
                max(len(file.path) for file in files),
                "Personality file path exceeds maximum",
            ),
            "injected_file_content_bytes": (
                max(len(file.contents) for file in files),
                "Personality file content exceeds maximum",
            ),
        }
        for resource, (size, words) in sizes.items():
            if limits[resource] != UNLIMITED and size > limits[resource]:
                raise OverQuota(f"{words} ({resource}: {limits[resource]})", resource=resource, limit=limits[resource])
    return tuple(InjectedFile(file.path, file.contents) for file in files)
