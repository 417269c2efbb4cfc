# SPDX-License-Identifier: Apache-2.0
"""TLS of our own clients."""

import ssl


def unverified_context() -> ssl.SSLContext:
    """Whatever certificate the server has will do: where the user says so, or nothing that matters is told."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
