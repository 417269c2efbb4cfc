# SPDX-License-Identifier: Apache-2.0
"""`openstack server image create --wait` failed now and then with "Remote end closed connection without response": it
looks every five seconds, on one connection, and the server closed connections that were idle for five."""

from kilonova.api.http.server import make_server
from kilonova.config.load import load

LONGEST_PAUSE_S = 5
"""Between two looks of openstacksdk's and the client's waits."""


def test_a_connection_outlives_the_pause_of_a_client_that_polls() -> None:
    assert make_server(None, load().api).config.timeout_keep_alive > 2 * LONGEST_PAUSE_S
