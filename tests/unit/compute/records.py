# SPDX-License-Identifier: Apache-2.0
"""The conductor as steps that make images see it: a record for each action's image, in memory."""

from pathlib import Path
from typing import Any

from kilonova.base.clock import Clock
from kilonova.base.errors import NotFound, RpcUnavailable, StaleWrite
from kilonova.base.outage import Outage
from kilonova.base.threads import InlineWorkers
from kilonova.compute.image_uploads import ImageUploads
from kilonova.compute.local_images import LocalImages
from kilonova.images.store import ImageStore
from kilonova.objects.ids import HostName, ImageId
from kilonova.rpcapi.host_to_conductor_images import BeginImage, CompleteImage, DropImages, Dropped, ImageBegun
from kilonova.rpcapi.method import Ack, Method
from tests import make


class Records:
    """`deleted`: somebody has deleted the image.  `away`: how many questions get no answer.  `taken`: another attempt
    has the action."""

    def __init__(self) -> None:
        self.host: HostName = make.HOST
        self.saved: CompleteImage | None = None
        self.needless: tuple[ImageId, ...] = ()
        self.deleted = False
        self.away = 0
        self.taken = False

    def _look(self) -> None:
        if self.away:
            self.away -= 1
            raise RpcUnavailable("Nobody is there.")
        if self.taken:
            raise StaleWrite("The action is owned by a newer attempt.")
        if self.deleted:
            raise NotFound("Image image-2 was deleted while it was being made.")

    async def call(self, method: Method[Any, Any], request: Any) -> Any:
        self._look()
        match request:
            case BeginImage():
                return ImageBegun(saved=self.saved is not None)
            case DropImages():
                return Dropped(self.needless)
            case _:
                self.saved = self.saved or request
                return Ack()


class Library:
    """Records, a byte store, and what steps use of both."""

    def __init__(self, directory: Path, clock: Clock) -> None:
        self.records = Records()
        self.store = ImageStore(directory / "images", InlineWorkers())
        self.root = directory / "images"
        self.uploads = ImageUploads(LocalImages(self.store), self.records, clock, Outage("the conductor", clock))

    def images(self) -> list[str]:
        """What has bytes in the store, finished or not."""
        return sorted(path.name for path in self.root.iterdir()) if self.root.exists() else []
