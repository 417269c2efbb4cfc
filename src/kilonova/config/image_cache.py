# SPDX-License-Identifier: Apache-2.0
"""[image_cache]: images that a host keeps for its guests' disks (Nova's names)."""

from dataclasses import dataclass

from oslo_config import cfg

GROUP = "image_cache"
OPTIONS = [
    cfg.BoolOpt(
        "remove_unused_base_images",
        default=True,
        help="Remove cached images that no disk of the host uses.",
    ),
    cfg.FloatOpt("manager_interval", default=2400.0, min=1, help="Seconds between two removals."),
    cfg.FloatOpt(
        "remove_unused_original_minimum_age_seconds",
        default=86400.0,
        min=3600,
        help="Seconds since the last use of an image before it is removed.",
    ),
]


@dataclass(frozen=True, slots=True)
class ImageCacheSettings:
    """Durations in seconds."""

    remove_unused_base_images: bool
    manager_interval: float
    remove_unused_original_minimum_age_seconds: float


def settings(group: cfg.ConfigOpts.GroupAttr) -> ImageCacheSettings:
    """The frozen settings of the group."""
    return ImageCacheSettings(**{opt.name: group[opt.name] for opt in OPTIONS})
