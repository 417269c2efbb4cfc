# SPDX-License-Identifier: Apache-2.0
"""The keys that processes share: the first is created once, and each rotation happens once."""

from datetime import timedelta
from pathlib import Path

from kilonova.conductor import signing_keys
from kilonova.db.readers.signing_keys import of_purpose
from kilonova.objects.signing_key import FIRST, TOKENS, SigningKey
from tests.make import NOW, database, run

SECOND = SigningKey("k2", b"2" * 48, NOW + timedelta(days=1))
THIRD = SigningKey("k3", b"3" * 48, NOW + signing_keys.KEPT + timedelta(days=2))


def test_of_two_that_create_the_first_key_one_wins(tmp_path: Path) -> None:
    async def story() -> None:
        db = database(tmp_path)
        await db.write(signing_keys.ensure, TOKENS, "1" * 48, NOW)
        await db.write(signing_keys.ensure, TOKENS, "x" * 48, NOW)
        await db.write(signing_keys.ensure, "other", "y" * 48, NOW)
        assert await db.read(of_purpose, TOKENS) == (SigningKey(FIRST, b"1" * 48, NOW),)
        assert [key.secret for key in await db.read(of_purpose, "other")] == [b"y" * 48]
        await db.close()

    run(story())


def test_a_rotation_retires_and_a_repeat_of_it_changes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        db = database(tmp_path)
        await db.write(signing_keys.ensure, TOKENS, "1" * 48, NOW)
        for _ in range(2):
            await db.write(signing_keys.rotate, TOKENS, SECOND, revoke=False)
            first, second = await db.read(of_purpose, TOKENS)
            assert (first.retired_at, second) == (SECOND.created_at, SECOND)
        await db.write(signing_keys.rotate, TOKENS, THIRD, revoke=False)
        assert [key.id for key in await db.read(of_purpose, TOKENS)] == ["k2", "k3"]
        await db.close()

    run(story())


def test_a_revocation_leaves_the_new_key_alone_and_other_purposes_untouched(tmp_path: Path) -> None:
    async def story() -> None:
        db = database(tmp_path)
        await db.write(signing_keys.ensure, TOKENS, "1" * 48, NOW)
        await db.write(signing_keys.ensure, "other", "y" * 48, NOW)
        await db.write(signing_keys.rotate, TOKENS, SECOND, revoke=True)
        assert await db.read(of_purpose, TOKENS) == (SECOND,)
        assert len(await db.read(of_purpose, "other")) == 1
        await db.close()

    run(story())
