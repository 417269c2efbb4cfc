# SPDX-License-Identifier: Apache-2.0
"""The page's files over HTTP.

Every path below /ui that is no file answers with the index, because the page itself reads the path (History API).
"""

from dataclasses import dataclass

from kilonova.api.http.call import Call, Reply
from kilonova.base.errors import NotFound
from kilonova.ui.assets import Asset, Assets, Page

_FOREVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"

SAFE = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""Headers of each answer below /ui."""
FRESH = (*SAFE, ("Cache-Control", "no-store"))
"""Headers of answers that no browser keeps."""


def content_security_policy(page: Page) -> str:
    """Nothing but files of this service; no inline script except the import map, no frame, no form, no plug-in."""
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self'", *page.script_hashes)),
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "connect-src 'self'",
            "font-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


@dataclass(frozen=True, slots=True)
class Files:
    """The handlers."""

    assets: Assets

    async def index(self, call: Call) -> Reply:
        """Answer with the page."""
        page = await self.assets.page()
        policy = ("Content-Security-Policy", content_security_policy(page))
        return await self._answer(call, page.index, _ASK_AGAIN, policy)

    async def file(self, call: Call) -> Reply:
        """Answer with one file.  A path that begins with the version never changes its contents."""
        page, path = await self.assets.page(), call.params["path"]
        below = path.removeprefix(f"{page.version}/")
        found = page.files.get(below)
        if found is None:
            raise NotFound("The page of this version has no such file: reload the page.")
        return await self._answer(call, found, _ASK_AGAIN if below == path else _FOREVER)

    async def _answer(self, call: Call, asset: Asset, keep: str, *more: tuple[str, str]) -> Reply:
        is_accepted = _accepts_gzip(call.headers.get("accept-encoding", ""))
        packed = await self.assets.gzipped(asset) if is_accepted else None
        etag = f'"{asset.etag}"' if packed is None else f'"{asset.etag}-gz"'
        headers = (*SAFE, *more, ("ETag", etag), ("Cache-Control", keep), ("Vary", "Accept-Encoding"))
        if _has(call.headers.get("if-none-match", ""), etag):
            return Reply(status=304, headers=headers)
        if packed is None:
            return Reply(asset.body, headers=headers, content_type=asset.content_type)
        return Reply(packed, headers=(*headers, ("Content-Encoding", "gzip")), content_type=asset.content_type)


def _accepts_gzip(text: str) -> bool:
    """Whether Accept-Encoding names gzip, and not with the weight 0."""
    for entry in text.lower().split(","):
        coding, _, weight = entry.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return weight.strip("0.") != "" or not weight
    return False


def _has(if_none_match: str, etag: str) -> bool:
    """Whether If-None-Match has the entity tag, by weak comparison."""
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in if_none_match.split(","))
