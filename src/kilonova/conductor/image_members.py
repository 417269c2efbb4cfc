# SPDX-License-Identifier: Apache-2.0
"""The projects with which an image is shared: each edit is one transaction, and a repeat changes nothing."""

from datetime import datetime

from kilonova.base.errors import Conflict, NotFound, TooLarge
from kilonova.conductor import image_events
from kilonova.db.readers import images as read_images
from kilonova.db.transaction import Transaction
from kilonova.db.writers import images as write_images
from kilonova.rpcapi.api_to_conductor import DeleteImageMember, PutImageMember


def put(tx: Transaction, request: PutImageMember) -> None:
    """Raises NotFound, Conflict, TooLarge."""
    member = request.member
    image = read_images.get_image(tx, member.image_id, "", admin=True)
    members = {one.project_id: one for one in read_images.image_members_of(tx, member.image_id)}
    known = members.get(member.project_id)
    if not request.new:
        if known is None:
            raise NotFound(f"The image {member.image_id} is not shared with {member.project_id}.")
        write_images.update_member(tx, member)
        if member != known:
            image_events.member_changed(tx, image, member.project_id, member.updated_at)
        return
    if known == member:
        return
    if known is not None:
        raise Conflict(f"The image {member.image_id} is shared with {member.project_id} already.")
    if len(members) >= request.most:
        raise TooLarge(f"An image has at most {request.most} members.", limit=request.most)
    write_images.insert_member(tx, member)
    image_events.member_changed(tx, image, member.project_id, member.updated_at)


def delete(tx: Transaction, request: DeleteImageMember, now: datetime) -> None:
    if write_images.delete_member(tx, request.image_id, request.project_id):
        image = read_images.get_image(tx, request.image_id, "", admin=True)
        image_events.member_changed(tx, image, request.project_id, now)
