# SPDX-License-Identifier: Apache-2.0
"""The projects with which an image is shared: each edit is one transaction, and a repeat changes nothing."""

from kilonova.base.errors import Conflict, NotFound, TooLarge
from kilonova.db.readers import images as read_images
from kilonova.db.transaction import Transaction
from kilonova.db.writers import images as write_images
from kilonova.rpcapi.api_to_conductor import DeleteImageMember, PutImageMember


def put(tx: Transaction, request: PutImageMember) -> None:
    """Raises NotFound, Conflict, TooLarge."""
    member = request.member
    read_images.get_image(tx, member.image_id, "", admin=True)
    members = {one.project_id: one for one in read_images.image_members_of(tx, member.image_id)}
    known = members.get(member.project_id)
    if not request.new:
        if known is None:
            raise NotFound(f"The image {member.image_id} is not shared with {member.project_id}.")
        write_images.update_member(tx, member)
        return
    if known == member:
        return
    if known is not None:
        raise Conflict(f"The image {member.image_id} is shared with {member.project_id} already.")
    if len(members) >= request.most:
        raise TooLarge(f"An image has at most {request.most} members.", limit=request.most)
    write_images.insert_member(tx, member)


def delete(tx: Transaction, request: DeleteImageMember) -> None:
    write_images.delete_member(tx, request.image_id, request.project_id)
