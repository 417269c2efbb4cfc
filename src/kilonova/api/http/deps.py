# SPDX-License-Identifier: Apache-2.0
"""The objects that the API needs: passed by wiring, and part of every call."""

from collections.abc import Callable
from dataclasses import dataclass

from kilonova.api.http.disk_space import Space
from kilonova.api.http.login_limits import LoginLimits
from kilonova.api.http.policy import Policy
from kilonova.api.http.token_revalidation import TokenRevalidationCache
from kilonova.base.clock import Clock
from kilonova.base.metrics import Metrics
from kilonova.config.api import ApiSettings
from kilonova.config.console import ConsoleSettings
from kilonova.config.quota import QuotaSettings
from kilonova.db.engine import Database
from kilonova.identity.passwords import Passwords
from kilonova.identity.tokens import TokenMinter
from kilonova.images.own_store import ImageBytes
from kilonova.objects.console import Consoles
from kilonova.rpcapi.caller import Caller


@dataclass(frozen=True, slots=True)
class ApiDeps:
    """`db` is only read; `ready` returns whether the service can do its work, and if not, the reason.
    `console_ttl_s` is how long the URL of a console can be opened.  `has_page`: the web page is served."""

    db: Database
    rpc: Caller
    tokens: TokenMinter
    token_revalidation: TokenRevalidationCache
    policy: Policy
    passwords: Passwords
    login_limits: LoginLimits
    images: ImageBytes
    clock: Clock
    settings: ApiSettings
    quotas: QuotaSettings
    console: ConsoleSettings
    console_ttl_s: float
    consoles: Consoles
    disk_space: Space
    metrics: Metrics
    ready: Callable[[], tuple[bool, str]]
    has_page: bool = False
