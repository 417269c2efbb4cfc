# SPDX-License-Identifier: Apache-2.0
"""The conductor as steps that make images see it: a record for each action's image, in memory."""

from pathlib import Path

from kilonova.base.clock import Clock
from kilonova.base.errors import NotFound, RpcUnavailable, StaleWrite
from kilonova.base.outage import Outage
from kilonova.base.threads import InlineWorkers
from kilonova.compute.image_uploads import ImageUploads
from kilonova.images.store import ImageStore
from kilonova.objects.ids import AttemptId, HostName, ImageId
from kilonova.objects.leg import LegId
from kilonova.rpcapi.host import CompleteImage
from tests import make


class Records:
    """`deleted`: somebody has deleted the image.  `away`: how many questions get no answer.  `taken`: another attempt
    has the action."""

    def __init__(self) -> None:
        self.saved: CompleteImage | None = None
        self.needless: tuple[ImageId, ...] = ()
        self.deleted = False
        self.away = 0
        self.taken = False

    @property
    def host(self) -> HostName:
        return make.HOST

    def _look(self) -> None:
        if self.away:
            self.away -= 1
            raise RpcUnavailable("Nobody is there.")
        if self.taken:
            raise StaleWrite("The action is in other hands now.")
        if self.deleted:
            raise NotFound("Image image-2 was deleted while it was being made.")

    async def begin_image(self, leg: LegId, attempt: AttemptId) -> bool:
        self._look()
        return self.saved is not None

    async def complete_image(self, request: CompleteImage) -> None:
        self._look()
        self.saved = self.saved or request

    async def drop_images(self, leg: LegId, attempt: AttemptId) -> tuple[ImageId, ...]:
        self._look()
        return self.needless


class Library:
    """Records, a byte store, and what steps use of both."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.records = Records()
        self.store = ImageStore(directory / "images", InlineWorkers())
        self.root = directory / "images"
        self.uploads = ImageUploads(self.store, self.records, clock, Outage("the conductor", clock))

    def images(self) -> list[str]:
        """What has bytes in the store, finished or not."""
        return sorted(path.name for path in self.root.iterdir()) if self.root.exists() else []
