# SPDX-License-Identifier: Apache-2.0
"""The RPC methods about the image stores of a fleet: reports of API processes, and requests of hosts."""

import structlog

from kilonova.base.errors import Forbidden
from kilonova.base.metrics import Metrics
from kilonova.conductor import image_stores, images
from kilonova.conductor.host_endpoint import pinned
from kilonova.conductor.image_stores import Draw
from kilonova.conductor.tools import Tools
from kilonova.db.transaction import Transaction
from kilonova.objects.signing_key import SigningKey
from kilonova.rpcapi import api_to_conductor_images as of_api
from kilonova.rpcapi import host_to_conductor_images as of_hosts
from kilonova.rpcapi.endpoint import Endpoint
from kilonova.rpcapi.method import Ack

log = structlog.get_logger(__name__)

ACK = Ack()
SECRET_BYTES = 48


class ImageEndpoint:
    """All handlers are safe to call again with the same request."""

    def __init__(self, tools: Tools, metrics: Metrics) -> None:
        self._db, self._clock, self._metrics = tools.db, tools.clock, metrics

    def serve_api(self, endpoint: Endpoint) -> None:
        """Add the methods that API processes call."""
        endpoint.on(of_api.REPORT_IMAGE_STORE, self._report)
        endpoint.on(of_api.RECORD_COPY, self._record_copy)

    def serve_hosts(self, endpoint: Endpoint) -> None:
        """Add the methods that hosts call."""
        endpoint.on(of_hosts.FIND_IMAGE, pinned(self._find_image))
        endpoint.on(of_hosts.FIND_STORE, pinned(self._find_store))

    def _draw(self) -> Draw:
        return Draw(self._clock.now(), self._clock.random.random())

    async def _report(self, request: of_api.ReportImageStore, _peer: str) -> Ack:
        now = self._clock.now()
        key = SigningKey(self._clock.new_id(), self._clock.new_secret(SECRET_BYTES).encode(), now)
        await self._db.write(image_stores.report, request, key, now)
        return ACK

    async def _record_copy(self, request: of_api.RecordCopy, _peer: str) -> Ack:
        await self._db.write(image_stores.record_copy, request)
        return ACK

    async def _find_image(self, request: of_hosts.FindImage) -> of_hosts.StoreUrls:
        try:
            access = self._db.write if request.wrong else self._db.read
            return await access(image_stores.sources, request, self._draw())
        except Forbidden as exc:
            self._metrics.image_refused("no-leg")
            log.warning("an image was refused to a host", host=request.host, image_id=request.image_id, why=exc.message)
            raise

    async def _find_store(self, request: of_hosts.FindStore) -> of_hosts.StoreUrls:
        return await self._db.read(_targets, request, self._draw())


def _targets(tx: Transaction, request: of_hosts.FindStore, draw: Draw) -> of_hosts.StoreUrls:
    image_id = images.saved_by(tx, request)
    return image_stores.targets(tx, image_id, request.host, request.attempt, draw)
