# SPDX-License-Identifier: Apache-2.0
"""Reading configuration: files, then overrides from the command line, into frozen settings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oslo_config import cfg

from kilonova.base.errors import ConfigError
from kilonova.config import (
    api,
    conductor,
    console,
    consoleauth,
    database,
    default,
    filter_scheduler,
    image,
    image_cache,
    libvirt,
    network,
    oslo_policy,
    quota,
    record,
    ui,
    vnc,
)
from kilonova.config.obeyed import refuse_unobeyed

GROUPS = (
    api,
    conductor,
    console,
    consoleauth,
    database,
    filter_scheduler,
    image,
    image_cache,
    libvirt,
    network,
    oslo_policy,
    quota,
    record,
    ui,
    vnc,
)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one process; each room receives its own section."""

    default: default.DefaultSettings
    api: api.ApiSettings
    conductor: conductor.ConductorSettings
    console: console.ConsoleSettings
    consoleauth: consoleauth.ConsoleAuthSettings
    database: database.DatabaseSettings
    filter_scheduler: filter_scheduler.FilterSchedulerSettings
    image: image.ImageSettings
    image_cache: image_cache.ImageCacheSettings
    libvirt: libvirt.LibvirtSettings
    network: network.NetworkSettings
    oslo_policy: oslo_policy.PolicySettings
    quota: quota.QuotaSettings
    record: record.RecordSettings
    ui: ui.UiSettings
    vnc: vnc.VncSettings


def options() -> cfg.ConfigOpts:
    """A ConfigOpts of its own with all our options registered (no global)."""
    conf = cfg.ConfigOpts()
    conf.register_opts(default.OPTIONS)
    for group in GROUPS:
        conf.register_opts(group.OPTIONS, group=group.GROUP)
    return conf


def load(
    files: Sequence[str] = (), dirs: Sequence[str] = (), overrides: Mapping[tuple[str, str], Any] | None = None
) -> Settings:
    """Settings of this process.

    `overrides` maps (group, option) to a value that replaces the one of the files; group "DEFAULT" is the nameless one.
    Raises ConfigError in one sentence for a missing file, a malformed line, a value out of range, or an option without
    effect.
    """
    conf = options()
    try:
        conf([], project="kilonova", default_config_files=list(files), default_config_dirs=list(dirs))
        bridges = _bridges(conf, dict(overrides or {}))
        read = Settings(
            default=default.settings(conf),
            api=api.settings(conf.api),
            conductor=conductor.settings(conf.conductor),
            console=console.settings(conf.console),
            consoleauth=consoleauth.settings(conf.consoleauth),
            database=database.settings(conf.database),
            filter_scheduler=filter_scheduler.settings(conf.filter_scheduler),
            image=image.settings(conf.image),
            image_cache=image_cache.settings(conf.image_cache),
            libvirt=libvirt.settings(conf.libvirt),
            network=network.settings(conf.network, bridges),
            oslo_policy=oslo_policy.settings(conf.oslo_policy),
            quota=quota.settings(conf.quota),
            record=record.settings(conf.record),
            ui=ui.settings(conf.ui),
            vnc=vnc.settings(conf.vnc),
        )
        refuse_unobeyed(read.default, read.libvirt, read.network)
        return read
    except cfg.ConfigFilesNotFoundError as exc:
        raise ConfigError(f"Configuration file not found: {', '.join(exc.config_files)}.") from exc
    except (cfg.Error, ValueError) as exc:
        raise ConfigError(f"The configuration cannot be used: {exc}") from exc


def _bridges(conf: cfg.ConfigOpts, overrides: dict[tuple[str, str], Any]) -> list[network.BridgeNetwork]:
    """Apply the overrides, and read the sections whose names are themselves options."""
    for (group, name), value in overrides.items():
        if not group.startswith(network.group_of("")):
            conf.set_override(name, value, group=None if group == "DEFAULT" else group)
    for bridge in conf.network.bridges:
        conf.register_opts(network.BRIDGE_OPTIONS, group=network.group_of(bridge))
    for (group, name), value in overrides.items():
        if group.startswith(network.group_of("")):
            conf.set_override(name, value, group=group)
    return [network.bridge_settings(name, conf[network.group_of(name)]) for name in conf.network.bridges]
