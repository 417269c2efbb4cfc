# SPDX-License-Identifier: Apache-2.0
"""`kilonova prove-kvm`: does KVM boot a real kernel on this machine?"""

from pathlib import Path
from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles, StatePath, read_settings


def prove_kvm(
    kernel: Annotated[Path, typer.Option(help="A Linux kernel.")],
    initrd: Annotated[Path, typer.Option(help="Its initrd, which answers to kilonova.probe.")],
    config_file: ConfigFiles = None,
    state_path: StatePath = None,
    limit: Annotated[float, typer.Option(help="Seconds that the boot may take.")] = 20.0,
) -> None:
    """Boot a small kernel under KVM and keep the verdict in the state directory, for `virt_type = auto`.

    A firmware boot passes under a KVM where a kernel hangs, so only a kernel proves anything.  Exit status 0 whatever
    the verdict is.
    """
    import asyncio

    from kilonova.base.errors import StateError
    from kilonova.virt.libvirt.host.kvm import prove

    state = read_settings(config_file, state_path).default.state_path
    try:
        verdict = asyncio.run(prove(kernel=kernel, initrd=initrd, state_path=state, limit_s=limit))
    except OSError as exc:
        raise StateError(f"The verdict cannot be kept in {state}: {exc.strerror}.") from exc
    print(f"KVM {'works' if verdict.works else 'does not work'} here: {verdict.why}")
