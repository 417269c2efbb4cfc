# SPDX-License-Identifier: Apache-2.0
"""The URL of a PostgreSQL database in the configuration.

It may contain a password, so that no message and no `repr` shows it.
"""

from collections.abc import Mapping

import psycopg
from psycopg import conninfo

from kilonova.base.errors import ConfigError
from kilonova.db.location import POSTGRESQL

CONNECT_S = 2
"""How long a connection may take, for each host of the URL."""
STATEMENT_MS = 12_000
"""Longer than a write and the question for the outcome of its COMMIT take (database.WRITE_S, SETTLE_S): at this limit
PostgreSQL stops waiting for a synchronous standby, and the transaction counts as committed without it."""
LOCK_MS = 3_000
IDLE_MS = 2_000
"""How long a transaction may wait for its client: a process that is frozen within one holds up the others."""

DEFAULTS: Mapping[str, str] = {
    "application_name": "kilonova",
    "connect_timeout": str(CONNECT_S),
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "6000",
}
"""Parameters of libpq that the URL may replace.  A host that has vanished answers nothing: the kernel gives up after
`tcp_user_timeout` ms with data on the way, and after 5 + 3 * 2 s without."""

SESSION: Mapping[str, str] = {
    "statement_timeout": str(STATEMENT_MS),
    "lock_timeout": str(LOCK_MS),
    "idle_in_transaction_session_timeout": str(IDLE_MS),
    "client_connection_check_interval": "1000",
}
"""Settings of each session, in ms: the server ends what its client has given up."""


def parameters(url: str) -> dict[str, str]:
    """The parameters of libpq for a URL of `[database] connection`.  Raises ConfigError without the URL in it."""
    if not url.startswith(POSTGRESQL):
        raise ConfigError(f"[database] connection must begin with {POSTGRESQL}.")
    try:
        found = conninfo.conninfo_to_dict("postgresql://" + url.removeprefix(POSTGRESQL))
    except psycopg.Error as exc:
        raise ConfigError(f"[database] connection is not a URL of PostgreSQL{_reason(exc)}.") from None
    given = {name: str(value) for name, value in found.items() if value is not None}
    if not given.get("dbname"):
        raise ConfigError(f"[database] connection names no database: {POSTGRESQL}USER:PASSWORD@HOST/DATABASE.")
    several = "," in given.get("host", "")
    options = " ".join(f"-c {name}={value}" for name, value in SESSION.items())
    return {
        **DEFAULTS,
        **({"target_session_attrs": "read-write"} if several else {}),
        **given,
        "options": f"{options} {given.get('options', '')}".strip(),
    }


def each_server(given: Mapping[str, str]) -> list[tuple[str, dict[str, str]]]:
    """Each server of a URL that names several: its address, and the parameters for it alone.  Else an empty list."""
    hosts, ports = given.get("host", "").split(","), given.get("port", "5432").split(",")
    if len(hosts) < 2:
        return []
    found = zip(hosts, ports if len(ports) == len(hosts) else ports * len(hosts), strict=False)
    return [
        (f"{host}:{port}", {**given, "host": host, "port": port, "target_session_attrs": "any"}) for host, port in found
    ]


def without_limits(given: Mapping[str, str]) -> dict[str, str]:
    """The same parameters for work that takes long: an upgrade, a copy of all tables."""
    return {**given, "options": " ".join(f"-c {name}=0" for name in SESSION)}


def _reason(exc: psycopg.Error) -> str:
    """The name of an unknown parameter; other messages of libpq quote the URL."""
    text = str(exc).strip()
    return f": {text}" if text.startswith("invalid URI query parameter") else ""
