# SPDX-License-Identifier: Apache-2.0
"""[api]: where the HTTP API listens and what it allows."""

from dataclasses import dataclass

from oslo_config import cfg

GROUP = "api"
OPTIONS = [
    cfg.HostAddressOpt("listen", default="127.0.0.1", help="Address to listen on."),
    cfg.PortOpt("port", default=8774, help="Port to listen on; 0 takes a free one."),
    cfg.IntOpt("max_limit", default=1000, min=1, help="Longest page of a list."),
    cfg.IntOpt("max_body_bytes", default=114688, min=1024, help="Largest request body, image uploads apart."),
    cfg.IntOpt("max_image_bytes", default=1 << 40, min=1, help="Largest image upload."),
    cfg.FloatOpt("token_lifetime", default=3600.0, min=1, help="Seconds that a token is good for."),
]


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Sizes in bytes, durations in seconds."""

    listen: str
    port: int
    max_limit: int
    max_body_bytes: int
    max_image_bytes: int
    token_lifetime: float


def settings(group: cfg.ConfigOpts.GroupAttr) -> ApiSettings:
    """The frozen settings of the group."""
    return ApiSettings(**{opt.name: group[opt.name] for opt in OPTIONS})
