# SPDX-License-Identifier: Apache-2.0
"""TLS of our own clients."""

import ssl


def unverified_context() -> ssl.SSLContext:
    """Accepts any certificate: for users who disable the verification, and for requests without secrets."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
