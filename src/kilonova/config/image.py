# SPDX-License-Identifier: Apache-2.0
"""[image]: the image store of an API process, and how the processes of a fleet reach it."""

from dataclasses import dataclass

from oslo_config import cfg

GROUP = "image"
OPTIONS = [
    cfg.StrOpt(
        "store_path",
        default="",
        help="Directory of the images; several API processes may share one (NFS, CephFS). Empty: images, below "
        "state_path.",
    ),
    cfg.StrOpt(
        "internal_url",
        default="",
        help="URL at which hosts and other API processes reach this API process (https://api1.example.org:8774): not "
        "the balancer's. Needed by every API process of a fleet.",
    ),
    cfg.IntOpt(
        "copies",
        default=2,
        min=1,
        help="Stores that must have the bytes of an image before it is active; all live stores if there are fewer. The "
        "one box has one.",
    ),
    cfg.StrOpt(
        "ca_file",
        default="",
        help="Certificates (PEM) that sign those of the stores' URLs; empty: the system's.",
    ),
    cfg.FloatOpt(
        "upkeep_interval",
        default=30.0,
        min=0.1,
        help="Seconds between two rounds in which an API process makes missing copies and deletes unused files.",
    ),
]


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """Durations in seconds."""

    store_path: str
    internal_url: str
    copies: int
    ca_file: str
    upkeep_interval: float


def settings(group: cfg.ConfigOpts.GroupAttr) -> ImageSettings:
    """The frozen settings of the group.  Raises ValueError in one sentence."""
    url = str(group.internal_url)
    if url and not (url.startswith(("http://", "https://")) and len(url) <= 255 and not set(url) & set("?#@ ")):
        raise ValueError(f"[image] internal_url: {url} is not a URL of the form https://name:port.")
    return ImageSettings(**{opt.name: group[opt.name] for opt in OPTIONS})
