# SPDX-License-Identifier: Apache-2.0
"""Makes lifecycle events: `python -m bench.suspend_child URI PREFIX COUNT` suspends and resumes domains of that name's
beginning until it has made so many, two for each."""

import sys

import libvirt


def main() -> None:
    """Fails with libvirt's own error."""
    uri, prefix, count = sys.argv[1:]
    conn = libvirt.open(uri)
    domains = [domain for domain in conn.listAllDomains() if domain.name().startswith(prefix)]
    for number in range(int(count) // 2):
        domain = domains[number % len(domains)]
        domain.suspend()
        domain.resume()
    conn.close()


if __name__ == "__main__":
    main()
