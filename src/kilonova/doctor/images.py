# SPDX-License-Identifier: Apache-2.0
"""A check of the image store: every image that can be used has its bytes.  Their hashes are not computed here."""

from kilonova.db.inspect import image_sizes
from kilonova.doctor.finding import Finding, error, note, ok
from kilonova.doctor.guests import Problems, listed, twice
from kilonova.doctor.subject import Subject


def stored_bytes(subject: Subject) -> Finding:
    """The file of each image is there, with as many bytes as were counted when it was stored."""
    name = "image-bytes"
    if not subject.database.exists():
        return note(name, "Not looked at: the records of images are on the conductor's host.")
    bad = twice(lambda: _look(subject))
    if not bad:
        return ok(name, "Every image has its bytes.")
    said = listed(f"{image} {trouble}" for image, trouble in bad.items())
    cure = "Restore the files from a backup, or delete these images and upload them again."
    return error(name, f"Images without their bytes: {said}.", cure, images=dict(bad))


def _look(subject: Subject) -> Problems:
    bad: dict[str, str] = {}
    for image, size in image_sizes(subject.database).items():
        try:
            found = (subject.state / "images" / image).lstat().st_size
        except FileNotFoundError:
            bad[image] = "is gone"
            continue
        if size is not None and found != size:
            bad[image] = f"has {found} bytes and not {size}"
    return bad
