# SPDX-License-Identifier: Apache-2.0
"""The RPC methods that operators call through the API.  Each method is one transaction."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from kilonova.base.clock import Clock
from kilonova.conductor import aggregates, image_stores, signing_keys
from kilonova.conductor.hosts import fleet_status, forgotten, register, reports
from kilonova.conductor.hosts.adoption import Adoption
from kilonova.conductor.hosts.liveness import Liveness
from kilonova.db.engine import Database
from kilonova.db.readers import hosts as read_hosts
from kilonova.db.transaction import Transaction
from kilonova.db.writers import flavors
from kilonova.objects.ids import HostName
from kilonova.objects.signing_key import SigningKey
from kilonova.rpcapi import api_to_conductor_admin as methods
from kilonova.rpcapi import api_to_conductor_fleet as fleet_methods
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.guard import Guard
from kilonova.rpcapi.method import Ack

log = structlog.get_logger(__name__)

Q = TypeVar("Q")

ACK = Ack()


class OperatorEndpoint:
    """All handlers are safe to call again with the same request.  `host` is where this conductor runs."""

    def __init__(self, db: Database, clock: Clock, adoption: Adoption, liveness: Liveness, host: HostName) -> None:
        self._db, self._clock, self._adoption = db, clock, adoption
        self._liveness, self._host = liveness, host

    def endpoint(self, guard: Guard | None = None) -> Endpoint:
        """The handlers by RPC method."""
        endpoint = Endpoint(guard)
        endpoint.on(methods.DESCRIBE_FLAVOR, self._write(lambda c, r: flavors.describe(c, r.flavor_id, r.description)))
        endpoint.on(
            methods.EDIT_EXTRA_SPECS,
            self._write(lambda c, r: flavors.edit_extra_specs(c, r.flavor_id, r.put, r.remove)),
        )
        endpoint.on(methods.SET_FLAVOR_ACCESS, self._write(_set_flavor_access))
        now = self._clock.now
        endpoint.on(methods.CREATE_AGGREGATE, self._write(lambda c, r: aggregates.create(c, r, now())))
        endpoint.on(methods.UPDATE_AGGREGATE, self._write(lambda c, r: aggregates.update(c, r, now())))
        endpoint.on(methods.DELETE_AGGREGATE, self._write(aggregates.delete))
        endpoint.on(methods.SET_AGGREGATE_HOST, self._write(aggregates.set_host))
        endpoint.on(methods.DELETE_SERVICE, self._write(lambda c, r: register.delete_service(c, r, self._clock.now())))
        endpoint.on(methods.ADOPT_HOST, self._adoption.adopt)
        endpoint.on(methods.FORGET_HOST, self._forget_host)
        endpoint.on(methods.LAST_HEARD, self._last_heard)
        endpoint.on(methods.REPORT_SERVICE, self._report)
        endpoint.on(methods.CHECK_CONDUCTOR, self._check)
        endpoint.on(methods.ROTATE_SIGNING_KEY, self._rotate_signing_key)
        endpoint.on(fleet_methods.READ_FLEET, self._read_fleet)
        endpoint.on(fleet_methods.READ_HOSTS, self._read_hosts)
        endpoint.on(fleet_methods.FORGET_STORE, self._forget_store)
        return endpoint

    async def _forget_host(self, request: methods.ForgetHost, _peer: str) -> methods.Forgotten:
        host = request.host
        known = await self._db.read(read_hosts.process_of, host)
        heard = known is not None and self._liveness.is_fresh(host, known.epoch)
        done = await self._db.write(forgotten.forget, host, self._clock.now(), heard=heard)
        log.warning("an operator gave up a host", host=host, servers=done.servers, deletes=done.deletes)
        return done

    async def _forget_store(self, request: fleet_methods.ForgetStore, _peer: str) -> fleet_methods.StoreForgotten:
        done = await self._db.write(image_stores.forget, request, self._clock.now())
        log.warning("an operator gave up an image store", store=request.store_id, images=done.images, sole=done.sole)
        return done

    async def _report(self, request: methods.ReportService, _peer: str) -> methods.Reported:
        return methods.Reported(await self._db.write(reports.report, request, self._clock.now()))

    async def _check(self, _request: methods.CheckConductor, _peer: str) -> methods.ConductorState:
        return methods.ConductorState(await self._db.trouble(), self._clock.now())

    async def _read_fleet(self, _request: fleet_methods.ReadFleet, _peer: str) -> fleet_methods.FleetStatus:
        return await self._db.read(fleet_status.status, self._host, self._clock.now())

    async def _read_hosts(self, request: fleet_methods.ReadHosts, _peer: str) -> fleet_methods.FleetHosts:
        return await self._db.read(fleet_status.hosts, request.after, self._liveness.last_heard())

    async def _rotate_signing_key(self, request: methods.RotateSigningKey, _peer: str) -> Ack:
        secret = self._clock.new_secret(signing_keys.SECRET_BYTES)
        key = SigningKey(request.key_id, secret.encode(), self._clock.now())
        await self._db.write(signing_keys.rotate, request.purpose, key, revoke=request.revoke)
        return ACK

    async def _last_heard(self, _request: methods.AskLastHeard, _peer: str) -> methods.LastHeard:
        heard = self._liveness
        return methods.LastHeard(self._host, heard.started_at, self._clock.now(), heard.last_heard())

    def _write(self, transaction: Callable[[Transaction, Q], None]) -> Callable[[Q, str], Awaitable[Ack]]:
        async def handler(request: Q, _peer: str) -> Ack:
            await self._db.write(transaction, request)
            return ACK

        return handler


def _set_flavor_access(tx: Transaction, request: methods.FlavorAccess) -> None:
    change = flavors.allow if request.allowed else flavors.disallow
    change(tx, request.flavor_id, request.project_id)
