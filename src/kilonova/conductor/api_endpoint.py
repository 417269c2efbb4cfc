# SPDX-License-Identifier: Apache-2.0
"""The RPC methods that the API calls.  Each method is one transaction."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import TypeVar

from kilonova.base.context import REQUEST_ID
from kilonova.base.errors import KilonovaError
from kilonova.conductor import (
    idempotency,
    identity_edits,
    image_members,
    image_quota,
    images,
    quota,
    server_edits,
    server_groups,
)
from kilonova.conductor.engine.accept import accept
from kilonova.conductor.engine.cancel import cancel
from kilonova.conductor.engine.plan import Plan
from kilonova.conductor.hosts import register
from kilonova.conductor.placement.place import wanted_of
from kilonova.conductor.tools import Tools
from kilonova.db.readers import actions as read_actions
from kilonova.db.readers import quotas as read_quotas
from kilonova.db.readers.candidates import Wanted
from kilonova.db.transaction import Transaction
from kilonova.db.writers import flavors as write_flavors
from kilonova.db.writers import keypairs as write_keypairs
from kilonova.db.writers import quotas as write_quotas
from kilonova.db.writers import server_groups as write_groups
from kilonova.objects.ids import ActionId, ActionRef
from kilonova.objects.states import VERBS, Verb
from kilonova.rpcapi import api_to_conductor as methods
from kilonova.rpcapi.caller import Caller
from kilonova.rpcapi.cancel import CANCEL_ACTION, CancelAction, CancelReply
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.guard import Guard
from kilonova.rpcapi.method import Ack
from kilonova.rpcapi.to_host import WAKE, Wake

Q = TypeVar("Q")

ACK = Ack()
ToPlace = Callable[[ActionRef, Wanted | None], None]


class ApiEndpoint:
    """`to_place` receives each new create action, and what its instance needs.  The next start finds an action that was
    lost."""

    def __init__(
        self,
        tools: Tools,
        rpc: Caller,
        to_place: Callable[[ActionRef, Wanted | None], None],
        plans: Mapping[Verb, Plan],
    ) -> None:
        self._db, self._clock, self._quotas = tools.db, tools.clock, tools.quotas
        self._rpc, self._to_place, self._plans = rpc, to_place, plans

    def endpoint(self, guard: Guard | None = None) -> Endpoint:
        """The handlers by RPC method."""
        endpoint = Endpoint(guard)
        endpoint.on(methods.CREATE_SERVERS, self._create_servers)
        endpoint.on(methods.ACCEPT_ACTION, self._accept_action)
        endpoint.on(CANCEL_ACTION, self._cancel_action)
        endpoint.on(methods.UPDATE_SERVER, self._write_now(server_edits.update))
        endpoint.on(methods.EDIT_METADATA, self._edit_metadata)
        endpoint.on(methods.EDIT_TAGS, self._write_now(server_edits.edit_tags))
        endpoint.on(methods.UPDATE_SERVICE, self._update_service)
        for row, edit in identity_edits.EDITS:
            endpoint.on(row, self._write_now(edit))
        endpoint.on(methods.SET_QUOTAS, self._write(quota.set_limits))
        endpoint.on(methods.DELETE_QUOTAS, self._write(lambda c, r: write_quotas.delete_limits(c, r.project_id)))
        endpoint.on(
            methods.CREATE_SERVER_GROUP, self._write(lambda c, r: server_groups.create(c, r.group, self._quotas))
        )
        endpoint.on(methods.DELETE_SERVER_GROUP, self._write(lambda c, r: write_groups.delete(c, r.group_id)))
        endpoint.on(methods.CREATE_FLAVOR, self._write(lambda c, r: write_flavors.create_flavor(c, r.flavor)))
        endpoint.on(methods.DELETE_FLAVOR, self._write(lambda c, r: write_flavors.delete_flavor(c, r.flavor_id)))
        endpoint.on(methods.CREATE_KEYPAIR, self._write(self._create_keypair))
        endpoint.on(
            methods.DELETE_KEYPAIR, self._write(lambda c, r: write_keypairs.delete_keypair(c, r.user_id, r.name))
        )
        endpoint.on(methods.CREATE_IMAGE, self._write(lambda c, r: image_quota.create(c, r.image, self._quotas)))
        endpoint.on(methods.UPDATE_IMAGE, self._write(lambda c, r: images.update(c, r, self._quotas)))
        endpoint.on(methods.DELETE_IMAGE, self._write_now(images.delete))
        endpoint.on(methods.PUT_IMAGE_MEMBER, self._write(image_members.put))
        endpoint.on(methods.DELETE_IMAGE_MEMBER, self._write_now(image_members.delete))
        return endpoint

    def _write(self, transaction: Callable[[Transaction, Q], None]) -> Callable[[Q, str], Awaitable[Ack]]:
        async def handler(request: Q, _peer: str) -> Ack:
            await self._db.write(transaction, request)
            return ACK

        return handler

    def _write_now(self, transaction: Callable[[Transaction, Q, datetime], None]) -> Callable[[Q, str], Awaitable[Ack]]:
        return self._write(lambda tx, request: transaction(tx, request, self._clock.now()))

    async def _create_servers(self, request: methods.CreateServers, _peer: str) -> methods.Created:
        action_ids = tuple(ActionId(self._clock.new_id()) for _ in request.instances)
        arguments = (request, action_ids, self._clock.now(), self._quotas)
        fresh, created = await self._db.write(idempotency.create, *arguments)
        for action_id, instance in zip(fresh, request.instances, strict=False):
            self._to_place(ActionRef(action_id, request.context.request_id), wanted_of(request, instance))
        return created

    async def _accept_action(self, request: methods.AcceptAction, _peer: str) -> Ack:
        action_id = ActionId(self._clock.new_id())
        host = await self._db.write(accept, request, action_id, self._clock.now(), self._quotas, self._plans)
        if host is not None:
            await self._rpc.cast(WAKE, Wake(), host)
        elif VERBS[request.verb].needs_placement:
            with contextlib.suppress(KilonovaError):  # it is on disk: the watchdog finds it, too
                for waiting in await self._db.read(read_actions.unplaced):
                    self._to_place(waiting, None)
        return ACK

    async def _cancel_action(self, request: CancelAction, _peer: str) -> CancelReply:
        cancelled = await self._db.write(cancel, request, self._clock.now())
        if cancelled.wake is not None:
            await self._rpc.cast(WAKE, Wake(), cancelled.wake)
        return cancelled.reply

    async def _edit_metadata(self, request: methods.EditMetadata, _peer: str) -> Ack:
        await self._db.write(server_edits.edit_metadata, request, self._clock.now(), self._quotas)
        return ACK

    def _create_keypair(self, tx: Transaction, request: methods.PutKeypair) -> None:
        if write_keypairs.create_keypair(tx, request.keypair):
            limits = read_quotas.limits(tx, self._quotas.defaults, request.project_id)
            quota.check_keypairs(tx, limits, request.keypair.user_id)

    async def _update_service(self, request: methods.UpdateService, _peer: str) -> Ack:
        await self._db.write(register.operator_update, request, self._clock.now(), REQUEST_ID.get())
        return ACK
