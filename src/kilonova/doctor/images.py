# SPDX-License-Identifier: Apache-2.0
"""A check of the image store: every active image has its data.  The check does not compute hashes."""

from kilonova.db.inspect import image_sizes
from kilonova.doctor.finding import Finding, error, note, ok
from kilonova.doctor.guests import Problems, listed, twice
from kilonova.doctor.subject import Subject


def stored_bytes(subject: Subject) -> Finding:
    """Check that the file of each image exists and has the size that was recorded at the upload."""
    name = "image-bytes"
    if not subject.database.exists():
        return note(name, "Not checked: the records of images are on the host of the conductor.")
    bad = twice(lambda: _look(subject))
    if not bad:
        return ok(name, "Every image has its data.")
    message = listed(f"{image} {trouble}" for image, trouble in bad.items())
    cure = "Restore the files from a backup, or delete these images and upload them again."
    return error(name, f"Images without their data: {message}.", cure, images=dict(bad))


def _look(subject: Subject) -> Problems:
    bad: dict[str, str] = {}
    for image, size in image_sizes(subject.database).items():
        try:
            found = (subject.state / "images" / image).lstat().st_size
        except FileNotFoundError:
            bad[image] = "is missing"
            continue
        if size is not None and found != size:
            bad[image] = f"has {found} bytes instead of {size}"
    return bad
