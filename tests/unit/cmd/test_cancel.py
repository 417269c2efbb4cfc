# SPDX-License-Identifier: Apache-2.0
"""`kilonova cancel`: what became of an action, in a sentence."""

import pytest

from kilonova.cmd.cancel import line_of


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ("cancelled", "is cancelled. Why."),
        ("continues", "continues. Why."),
        ("cleaning-up", "has ended for you. Why."),
        ("ended", "ended before. Why."),
        ("of a newer service", "of a newer service. Why."),
    ],
)
def test_each_result_is_a_sentence(result: str, words: str) -> None:
    one = {"action": "create", "server_id": "s-1", "request_id": "req-1", "result": result, "message": "Why."}
    assert line_of(one) == f"The action create on server s-1 (request req-1) {words}"
    assert line_of({**one, "message": None}) == f"The action create on server s-1 (request req-1) {words[:-5]}"
