# SPDX-License-Identifier: Apache-2.0
"""`kilonova prove-kvm`: does KVM boot a real kernel on this machine?"""

from pathlib import Path
from typing import Annotated

import typer


def prove_kvm(
    kernel: Annotated[Path, typer.Option(help="A Linux kernel.")],
    initrd: Annotated[Path, typer.Option(help="Its initrd, which answers to kilonova.probe.")],
    state_path: Annotated[Path | None, typer.Option(help="Where the verdict is kept (default: by user).")] = None,
    limit: Annotated[float, typer.Option(help="Seconds that the boot may take.")] = 20.0,
) -> None:
    """Boot a small kernel under KVM and keep the verdict, for `virt_type = auto`.

    A firmware boot passes under a KVM where a kernel hangs, so only a kernel proves anything.  Exit status 0 whatever
    the verdict is.
    """
    import asyncio

    from kilonova.base.errors import StateError
    from kilonova.config.default import default_state_path
    from kilonova.virt.libvirt.kvm import prove

    state = state_path or default_state_path()
    try:
        verdict = asyncio.run(prove(kernel=kernel, initrd=initrd, state_path=state, limit_s=limit))
    except OSError as exc:
        raise StateError(f"The verdict cannot be kept in {state}: {exc.strerror}.") from exc
    print(f"KVM {'works' if verdict.works else 'does not work'} here: {verdict.why}")
