# SPDX-License-Identifier: Apache-2.0
"""Checks of the image store (every active image has its data; no hashes are computed) and of the image cache."""

import os
from pathlib import Path

from kilonova.config.default import kept_from_images
from kilonova.db.inspect import image_sizes
from kilonova.doctor.finding import Finding, error, note, ok, warning
from kilonova.doctor.guests import Problems, listed, twice
from kilonova.doctor.subject import Subject
from kilonova.images.store import store_id_of


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
    root = Path(subject.settings.image.store_path or subject.state / "images")
    for image, size in image_sizes(subject.database, store_id_of(root)).items():
        try:
            found = (root / image).lstat().st_size
        except FileNotFoundError:
            bad[image] = "is missing"
            continue
        if size is not None and found != size:
            bad[image] = f"has {found} bytes instead of {size}"
    return bad


def cached(subject: Subject) -> Finding:
    """Show the size of the image cache, and warn when the disk is short although unused images were removed."""
    name = "image-cache"
    root = subject.settings.default.instances_path / "_base"
    if not root.is_dir():
        return ok(name, "The host has no cached images.")
    sizes = [path.lstat().st_size for path in root.iterdir() if not path.name.startswith(".")]
    found = os.statvfs(root)
    kept = kept_from_images(subject.settings.default, found.f_blocks * found.f_frsize)
    message = f"{len(sizes)} images with {sum(sizes) >> 20} MiB are cached in {root}."
    if found.f_bavail * found.f_frsize >= kept:
        return ok(name, message, images=len(sizes), bytes=sum(sizes))
    cure = "Free some space, or move instances_path to a larger disk: the remaining images are in use."
    return warning(
        name, f"{message} Less than {kept >> 20} MiB are free on its disk.", cure, images=len(sizes), bytes=sum(sizes)
    )
