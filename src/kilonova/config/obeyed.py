# SPDX-License-Identifier: Apache-2.0
"""Options that the other options would make ineffective: a start with them fails with one sentence, and changes
nothing."""

from kilonova.config.default import DefaultSettings
from kilonova.config.libvirt import LibvirtSettings
from kilonova.config.network import NetworkSettings

TOPIC = "compute"
"""The prefix of the subjects on which hosts listen; it cannot be changed."""


def refuse_unobeyed(default: DefaultSettings, libvirt: LibvirtSettings, network: NetworkSettings) -> None:
    """Refuse options without effect.  Raises ValueError in one sentence."""
    if default.compute_topic != TOPIC:
        raise ValueError(
            f"[DEFAULT] compute_topic is {default.compute_topic}: hosts listen on {TOPIC} and nowhere else."
        )
    _check_cpu(libvirt)
    if network.backend == "bridge":
        for name, value in (("cidr", network.cidr), ("dns", ",".join(network.dns))):
            if value:
                raise ValueError(
                    f"[network] {name} is {value}: with backend bridge each section [network:NAME] has its own."
                )


def _check_cpu(libvirt: LibvirtSettings) -> None:
    models = ", ".join(libvirt.cpu_models)
    if libvirt.cpu_mode != "custom" and models:
        raise ValueError(f"[libvirt] cpu_models is {models}, which is for cpu_mode = custom only.")
    if libvirt.cpu_mode == "custom" and len(libvirt.cpu_models) != 1:
        raise ValueError(f"[libvirt] cpu_mode is custom: cpu_models must name one model, and names {models or 'none'}.")
