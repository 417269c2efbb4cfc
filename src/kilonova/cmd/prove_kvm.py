# SPDX-License-Identifier: Apache-2.0
"""`kilonova prove-kvm`: tests whether KVM boots a kernel on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from kilonova.cmd.common import ConfigFiles, StatePath, read_settings


def prove_kvm(
    kernel: Annotated[Path, typer.Option(help="Linux kernel.")],
    initrd: Annotated[Path, typer.Option(help="Its initrd, which supports kilonova.probe.")],
    config_file: ConfigFiles = None,
    state_path: StatePath = None,
    limit: Annotated[float, typer.Option(help="Limit of the boot in seconds.")] = 20.0,
) -> None:
    """Boot a small kernel under KVM and store the verdict in the state directory, for `virt_type = auto`.

    Firmware can boot under a KVM where a kernel hangs, so the test boots a kernel.  The exit status is 0 for each
    verdict.
    """
    import asyncio

    from kilonova.base.errors import StateError
    from kilonova.virt.libvirt.host.kvm import prove

    state = read_settings(config_file, state_path).default.state_path
    try:
        verdict = asyncio.run(prove(kernel=kernel, initrd=initrd, state_path=state, limit_s=limit))
    except OSError as exc:
        raise StateError(f"The verdict cannot be stored in {state}: {exc.strerror}.") from exc
    print(f"KVM {'works' if verdict.works else 'does not work'} here: {verdict.why}")
