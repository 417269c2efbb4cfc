# SPDX-License-Identifier: Apache-2.0
"""Calls to the conductor for `kilonova verify`."""

from dataclasses import dataclass

from kilonova.base.errors import NotFound
from kilonova.objects.difference import Difference
from kilonova.objects.ids import HostName
from kilonova.rpcapi.api_to_conductor_admin import SUBJECT
from kilonova.rpcapi.batch import Each
from kilonova.rpcapi.method import Method

MOST_DIFFERENCES = 1000
"""The number of differences in one reply."""


@dataclass(frozen=True, slots=True)
class VerifyDatabase:
    """Compare the tables with each other; with `repair`, record what follows from the servers."""

    repair: bool = False


@dataclass(frozen=True, slots=True)
class VerifyHost:
    """Compare a host with the database.  `checksums`: with its cached images, too; `begin` begins a round of checksums.
    With `repair`, what was an orphan in an earlier look, at least `pause_s` seconds ago, is removed."""

    host: HostName
    repair: bool = False
    pause_s: float = 30.0
    checksums: bool = False
    begin: bool = False


@dataclass(frozen=True, slots=True)
class Verified:
    """At most MOST_DIFFERENCES differences, and how many there are.  `unseen` says in one sentence why there was no
    look; empty when there was one.  `running`: the checksums are not complete, so that they are not compared."""

    differences: Each[Difference] = ()
    count: int = 0
    unseen: str = ""
    running: bool = False


VERIFY_DATABASE = Method(
    SUBJECT,
    "verify_database",
    VerifyDatabase,
    Verified,
    "Compare quotas, claims and addresses with the servers, and repair them. A repeat is safe.",
    timeout_s=60,
    attempt_s=60,
    since=2,
)
VERIFY_HOST = Method(
    SUBJECT,
    "verify_host",
    VerifyHost,
    Verified,
    "Compare what a host has with the database, and repair it. A repeat is safe. NotFound: no such host.",
    (NotFound,),
    timeout_s=100,
    attempt_s=100,
    since=2,
)
