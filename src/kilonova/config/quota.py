# SPDX-License-Identifier: Apache-2.0
"""[quota]: the limits of a project without limits of its own.  -1 means no limit."""

from collections.abc import Mapping
from dataclasses import dataclass

from oslo_config import cfg

GROUP = "quota"
OPTIONS = [
    cfg.IntOpt("instances", default=10, min=-1, help="Servers of a project."),
    cfg.IntOpt("cores", default=20, min=-1, help="Virtual CPUs of a project's servers together."),
    cfg.IntOpt("ram", default=51200, min=-1, help="MiB of memory of a project's servers together."),
    cfg.IntOpt("metadata_items", default=128, min=-1, help="Metadata items of one server."),
    cfg.IntOpt("key_pairs", default=100, min=-1, help="Key pairs of one user."),
    cfg.IntOpt("injected_files", default=5, min=-1, help="Files that a create puts into a server."),
    cfg.IntOpt("injected_file_content_bytes", default=10240, min=-1, help="Bytes of base64 text of one such file."),
    cfg.IntOpt("injected_file_path_length", default=255, min=-1, help="Characters of the path of one such file."),
    cfg.IntOpt("server_groups", default=10, min=-1, help="Server groups of a project."),
    cfg.IntOpt("server_group_members", default=10, min=-1, help="Servers of one server group."),
    cfg.IntOpt("image_count_total", default=100, min=-1, help="Images of a project, snapshots and backups among them."),
    cfg.IntOpt("image_size_total", default=51200, min=-1, help="MiB of a project's images together."),
]


_RESOURCES = {"injected_file_path_length": "injected_file_path_bytes"}
"""Options whose resource has another name, also in Nova."""


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """`defaults`: a limit for each resource, by the API's name for it; -1 means no limit."""

    defaults: Mapping[str, int]


def settings(group: cfg.ConfigOpts.GroupAttr) -> QuotaSettings:
    """The frozen settings of the group."""
    return QuotaSettings({_RESOURCES.get(opt.name, opt.name): group[opt.name] for opt in OPTIONS})
