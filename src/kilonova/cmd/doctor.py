# SPDX-License-Identifier: Apache-2.0
"""`kilonova doctor`: looks at this host and says what to do."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kilonova.doctor.finding import Finding
    from kilonova.doctor.subject import Subject


def doctor(
    config_file: Annotated[list[str] | None, typer.Option(help="Configuration file; may be given again.")] = None,
    config_dir: Annotated[list[str] | None, typer.Option(help="Directory of *.conf files.")] = None,
    state_path: Annotated[str | None, typer.Option(help="Directory of all state (default: by user).")] = None,
    connection_uri: Annotated[str | None, typer.Option(help="libvirt URI (default: by user).")] = None,
    kernel: Annotated[Path | None, typer.Option(help="A Linux kernel to boot under KVM now, as a proof.")] = None,
    initrd: Annotated[Path | None, typer.Option(help="Its initrd, which answers to kilonova.probe.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as a JSON list.")] = False,
) -> None:
    """Look at this host as an expert would, and say what to do.

    Ends within ten seconds, whatever hangs; --kernel and --initrd boot a kernel under KVM besides, for at most twenty.
    Changes nothing but the verdict on KVM.  Exit status 0 without errors (warnings are none), 1 with any, 2 for a
    malformed command line.
    """
    import asyncio

    from kilonova.doctor import report

    if (kernel is None) != (initrd is None):
        raise typer.BadParameter("--kernel and --initrd belong together.")
    subject = _subject(config_file or [], config_dir or [], state_path, connection_uri)
    findings = asyncio.run(_examine(subject, kernel, initrd))
    if as_json:
        print(report.as_json(findings))
    else:
        report.show(findings)
    raise typer.Exit(report.exit_status(findings))


def _subject(files: list[str], dirs: list[str], state_path: str | None, uri: str | None) -> "Subject":
    from kilonova.base.errors import ConfigError
    from kilonova.cmd.service import unknown_options
    from kilonova.config.load import load
    from kilonova.doctor.subject import subject_of

    given = {("DEFAULT", "state_path"): state_path, ("libvirt", "connection_uri"): uri}
    overrides = {option: value for option, value in given.items() if value is not None}
    try:
        return subject_of(load(files, dirs, overrides), strange=unknown_options(files, dirs))
    except ConfigError as exc:  # a finding like any other
        return subject_of(load((), (), overrides), problems=[exc.message])


async def _examine(subject: "Subject", kernel: Path | None, initrd: Path | None) -> "list[Finding]":
    from kilonova.doctor.kvm import prove
    from kilonova.doctor.table import examine

    if kernel is None or initrd is None:
        return await examine(subject)
    proof = await prove(subject, kernel, initrd)
    return [proof if finding.check == proof.check else finding for finding in await examine(subject)]
