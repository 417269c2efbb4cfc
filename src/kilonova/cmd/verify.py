# SPDX-License-Identifier: Apache-2.0
"""`kilonova verify`: compares the database with what exists, and repairs the differences on request."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonova.base.errors import KilonovaError
from kilonova.cmd.directory import CloudsFile, OsCloud, open_cloud, show_list

if TYPE_CHECKING:
    from kilonova.cmd.cloud_api import Cloud

LIMIT_S = 120.0
"""For one part, with its repairs."""
CHECKSUMS_LIMIT_S = 3600.0
"""For a part whose images are read in one request."""
POLL_S = 1.0
SAME, DIFFERENT, UNSEEN = 0, 1, 2
COLUMNS = ("code", "host", "subject", "found", "what to do")


@dataclass(frozen=True, slots=True)
class Plan:
    """The request of one command.  `hosts`: only these; none: every part."""

    hosts: Sequence[str] = ()
    checksums: bool = False
    pause_s: float = 30.0


@dataclass(slots=True)
class Report:
    """The differences of all parts, and why parts could not be compared."""

    parts: int = 0
    differences: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    unseen: list[str] = field(default_factory=list[str])
    count: int = 0

    @property
    def exit_status(self) -> int:
        """UNSEEN even if other parts have differences: the report is not complete."""
        return UNSEEN if self.unseen else DIFFERENT if self.count else SAME


def verify(
    host: Annotated[list[str] | None, typer.Option(help="Compare only this host; may be repeated.")] = None,
    checksums: Annotated[bool, typer.Option("--checksums", help="Also read all images and their copies.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what can be repaired.")] = False,
    pause: Annotated[
        float, typer.Option(help="Seconds between the two looks that must find what is removed.", min=0)
    ] = 30.0,
    watch: Annotated[
        float, typer.Option(help="Look again after so many seconds, until interrupted, and report changes.", min=0)
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of a table.")] = False,
    os_cloud: OsCloud = "kilonova",
    clouds_file: CloudsFile = None,
) -> None:
    """Compare the database with the hosts: guests, disks, images, networks, claims, quotas, addresses and files.

    Without --repair the command changes nothing and shows what a repair would do.  Requires the clouds.yaml of an
    administrator.  Exit status: 0 without differences, 1 with differences, 2 when a part could not be compared.
    """
    plan = Plan(host or (), checksums, pause)
    if repair and watch:
        raise typer.BadParameter("--repair and --watch exclude each other.")
    if watch:
        _watch(plan, watch, clouds_file, os_cloud, as_json=as_json)
    try:
        cloud = open_cloud(clouds_file, os_cloud)
        report = look(cloud, plan)
        if repair:
            report = _repair(cloud, plan, report, as_json=as_json)
    except KilonovaError as exc:
        typer.echo(f"kilonova: {exc}", err=True)
        raise typer.Exit(UNSEEN) from exc
    if as_json:
        print(json.dumps(asdict(report), indent=2))
    else:
        _show(report)
    raise typer.Exit(report.exit_status)


def look(cloud: "Cloud", plan: Plan, *, repair: bool = False) -> Report:
    """One look at every part, or one repair of it.  A part that does not answer is reported; the others are compared.
    Raises KilonovaError when the list of hosts cannot be read."""
    report = Report()
    for part in _parts(cloud, plan):
        report.parts += 1
        request = {
            **part,
            "repair": repair,
            "pause_seconds": plan.pause_s,
            "checksums": plan.checksums,
            "begin": plan.checksums,
        }
        name = f"host {part['host']}" if "host" in part else f"the {part['part']}"
        try:
            found = _compare(cloud, request)
        except KilonovaError as exc:
            report.unseen.append(f"{name[0].upper()}{name[1:]} could not be compared: {exc}")
            continue
        report.differences += found["differences"]
        report.count += found["count"]
        if found["unseen"]:
            report.unseen.append(found["unseen"])
    return report


def _parts(cloud: "Cloud", plan: Plan) -> Iterator[dict[str, str]]:
    if plan.hosts:
        yield from ({"part": "host", "host": name} for name in plan.hosts)
        return
    yield {"part": "database"}
    services = cloud.call("GET", "/os-services?binary=nova-compute")["services"]
    yield from ({"part": "host", "host": name} for name in sorted(one["host"] for one in services))
    yield {"part": "images"}


def _compare(cloud: "Cloud", request: dict[str, Any]) -> dict[str, Any]:
    """The comparison of one part, after its checksums."""
    limit_s = CHECKSUMS_LIMIT_S if request["checksums"] else LIMIT_S
    while True:
        found = cloud.call("POST", "/kilonova/verify", {"verify": request}, limit_s)["verification"]
        if not found["running"]:
            return found
        request = {**request, "begin": False}
        _sleep(POLL_S)


def _repair(cloud: "Cloud", plan: Plan, before: Report, *, as_json: bool) -> Report:
    """Wait until what was found may be removed, repair, and look again.  The result has the outcomes, and counts what
    is left."""
    repairable = [one for one in before.differences if one["repair"]]
    if not repairable:
        return before
    if not as_json:
        count = f"{len(repairable)} of {before.count} differences"
        print(f"{count} can be repaired. The second look is in {plan.pause_s:g} s.")
    _sleep(plan.pause_s)
    repaired = look(cloud, plan, repair=True)
    after = look(cloud, plan)
    done = [
        one for one in repaired.differences if one["outcome"] and _key(one) not in set(map(_key, after.differences))
    ]
    outcomes = {_key(one): one["outcome"] for one in repaired.differences}
    left = [{**one, "outcome": outcomes.get(_key(one))} for one in after.differences]
    return Report(after.parts, done + left, after.unseen, after.count)


def _key(one: dict[str, Any]) -> tuple[Any, ...]:
    return one["code"], one["host"], one["subject"]


def _show(report: Report) -> None:
    if report.differences:
        show_list([{**one, "what to do": _what(one)} for one in report.differences], COLUMNS, as_json=False)
    for sentence in report.unseen:
        print(sentence)
    if report.count:
        print(f"{report.count} differences in {report.parts} parts.")
    elif not report.unseen:
        print(f"No difference in {report.parts} parts.")


def _what(one: dict[str, Any]) -> str:
    if one["outcome"]:
        return str(one["outcome"])
    return f"--repair: {one['repair']}" if one["repair"] else str(one["by_hand"] or "")


def _watch(plan: Plan, every_s: float, clouds_file: Path | None, os_cloud: str, *, as_json: bool) -> None:
    """Print what changed since the last look, one line each, for monitoring.  Ends with an interrupt only."""
    known: dict[tuple[Any, ...], str] = {}
    while True:
        try:
            report = look(open_cloud(clouds_file, os_cloud), plan)  # (a new token for each look)
        except KilonovaError as exc:
            report = Report(unseen=[str(exc)])
        now = {_key(one): one["found"] for one in report.differences}
        now |= {("unseen", None, sentence): sentence for sentence in report.unseen}
        for line in changes(known, now, as_json=as_json):
            print(line, flush=True)
        if report.unseen:  # what could not be compared has not ended
            now = {**known, **now}
        known = now
        _sleep(every_s)


def changes(before: dict[tuple[Any, ...], str], now: dict[tuple[Any, ...], str], *, as_json: bool) -> Iterator[str]:
    """A line for each difference that is new, and for each that has ended."""
    write: Callable[[str, tuple[Any, ...], str], str] = _as_json if as_json else _as_text
    yield from (write("new", key, found) for key, found in now.items() if key not in before)
    if not any(key[0] == "unseen" for key in now):
        yield from (write("ended", key, found) for key, found in before.items() if key not in now)


def _as_text(change: str, key: tuple[Any, ...], found: str) -> str:
    return f"{_time()} {change} {key[0]}: {found}"


def _as_json(change: str, key: tuple[Any, ...], found: str) -> str:
    code, host, subject = key
    return json.dumps({"at": _time(), "change": change, "code": code, "host": host, "subject": subject, "found": found})


def _time() -> str:
    from kilonova.base.clock import SystemClock

    return f"{SystemClock().now():%Y-%m-%dT%H:%M:%SZ}"


def _sleep(seconds: float) -> None:
    import asyncio

    from kilonova.base.clock import SystemClock

    asyncio.run(SystemClock().sleep(seconds))
