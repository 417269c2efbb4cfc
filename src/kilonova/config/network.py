# SPDX-License-Identifier: Apache-2.0
"""[network]: the network that a host gives its guests."""

from dataclasses import dataclass

from oslo_config import cfg

GROUP = "network"
OPTIONS = [
    cfg.StrOpt(
        "backend",
        default="auto",
        choices=["auto", "nat", "user"],
        help="nat: a libvirt network of our own (system daemon); user: QEMU's user-mode network; auto: by connection.",
    ),
    cfg.StrOpt("name", default="kilonova", help="Name of the network, as servers show it."),
    cfg.StrOpt("cidr", default="", help="Subnet of guests; empty: the first of ours that collides with no route."),
    cfg.ListOpt("dns", default=[], help="Name servers told to guests."),
]


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """`cidr` in IPv4 text or empty."""

    backend: str
    name: str
    cidr: str
    dns: tuple[str, ...]


def settings(group: cfg.ConfigOpts.GroupAttr) -> NetworkSettings:
    """The frozen settings of the group."""
    values = {opt.name: group[opt.name] for opt in OPTIONS}
    values["dns"] = tuple(values["dns"])
    return NetworkSettings(**values)
