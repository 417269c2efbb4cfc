# SPDX-License-Identifier: Apache-2.0
"""The catalogue: codes are stable, unique, and cross the bus."""

import pytest

from kilonova.base import errors
from kilonova.rpc import wire


def test_codes_are_unique() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.KilonovaError)]
    assert len({c.code for c in classes}) == len(classes) == len(errors.CATALOGUE)


@pytest.mark.parametrize("cls", errors.CATALOGUE.values(), ids=lambda c: c.code)
def test_an_error_comes_over_the_wire_as_itself(cls: type[errors.KilonovaError]) -> None:
    with pytest.raises(cls, match="a sentence") as caught:
        wire.decode_reply(wire.encode_error(cls("a sentence", host="h1")))
    assert type(caught.value) is cls
    assert caught.value.details == {"host": "h1"}
    assert caught.value.retryable is cls.retryable


def test_a_code_of_a_newer_peer_is_kept() -> None:
    error = errors.from_wire("of-the-future", "what", {})
    assert type(error) is errors.KilonovaError
    assert error.details["code"] == "of-the-future"
