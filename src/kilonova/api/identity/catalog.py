# SPDX-License-Identifier: Apache-2.0
"""The service catalog: where the client that asks can reach each service."""

import hashlib
from typing import Any

REGION = "RegionOne"

_SERVICES = (
    ("identity", "keystone", "/identity"),
    ("compute", "nova", "/compute/v2.1"),
    ("image", "glance", "/image"),
    ("network", "neutron", "/network"),
)
_INTERFACES = ("public", "internal", "admin")


def catalog(base: str) -> list[dict[str, Any]]:
    """Entries as a token and GET /v3/auth/catalog show them.  Ids are made of the names, so that they stay the same."""
    return [
        {
            "type": kind,
            "name": name,
            "id": stable_id(kind),
            "endpoints": [
                {
                    "id": stable_id(kind, interface),
                    "interface": interface,
                    "region": REGION,
                    "region_id": REGION,
                    "url": f"{base}{path}",
                }
                for interface in _INTERFACES
            ],
        }
        for kind, name, path in _SERVICES
    ]


def stable_id(*words: str) -> str:
    """An id made of names, so that it stays the same."""
    return hashlib.sha256("/".join(words).encode()).hexdigest()[:32]
