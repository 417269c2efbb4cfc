# SPDX-License-Identifier: Apache-2.0
"""`kilonova doctor`: checks this host and reports how to correct problems."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kilonova.doctor.finding import Finding
    from kilonova.doctor.subject import Subject


def doctor(
    config_file: Annotated[list[str] | None, typer.Option(help="Configuration file; may be repeated.")] = None,
    config_dir: Annotated[list[str] | None, typer.Option(help="Directory of *.conf files.")] = None,
    state_path: Annotated[str | None, typer.Option(help="State directory (the default depends on the user).")] = None,
    connection_uri: Annotated[str | None, typer.Option(help="libvirt URI (the default depends on the user).")] = None,
    kernel: Annotated[Path | None, typer.Option(help="Linux kernel to boot under KVM now, as a test.")] = None,
    initrd: Annotated[Path | None, typer.Option(help="Its initrd, which supports kilonova.probe.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as a JSON list.")] = False,
) -> None:
    """Check this host and report how to correct problems.

    The checks end within ten seconds, even if something hangs.  --kernel and --initrd also boot a kernel under KVM, for
    at most twenty seconds.  The command changes only the stored KVM verdict.  Exit status: 0 without errors (warnings
    are not errors), 1 with errors, 2 for an invalid command line.
    """
    import asyncio

    from kilonova.doctor import report

    if (kernel is None) != (initrd is None):
        raise typer.BadParameter("--kernel and --initrd must be used together.")
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
    except ConfigError as exc:  # reported as a finding
        return subject_of(load((), (), overrides), problems=[exc.message])


async def _examine(subject: "Subject", kernel: Path | None, initrd: Path | None) -> "list[Finding]":
    from kilonova.doctor.kvm import prove
    from kilonova.doctor.table import examine

    if kernel is None or initrd is None:
        return await examine(subject)
    proof = await prove(subject, kernel, initrd)
    return [proof if finding.check == proof.check else finding for finding in await examine(subject)]
