# SPDX-License-Identifier: Apache-2.0
"""The arrangement of a guest's processors in sockets, cores and threads.

Source: Nova's guide, "CPU topologies", and its hardware.py.  A preference of the image overrides one of the flavor; the
limits of the flavor bind the image.  Of the possible arrangements, the best fulfils most preferences, and has few
threads and few cores.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

PARTS = ("sockets", "cores", "threads")
MOST = 65536


@dataclass(frozen=True, slots=True)
class Topology:
    sockets: int
    cores: int
    threads: int


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits or preferences in the order of PARTS; 0 means no preference."""

    preferred: tuple[int, int, int]
    most: tuple[int, int, int]


def limits_of(specs: Mapping[str, str], image: Mapping[str, str]) -> Limits | None:
    """The limits and preferences of a flavor's extra specs and an image's properties; None when there are none."""
    flavor_most = [int(specs.get(f"hw:cpu_max_{part}", MOST)) for part in PARTS]
    image_most = [int(image.get(f"hw_cpu_max_{part}", MOST)) for part in PARTS]
    flavor_preference = [int(specs.get(f"hw:cpu_{part}", 0)) for part in PARTS]
    image_preference = [int(image.get(f"hw_cpu_{part}", 0)) for part in PARTS]
    if not any((*flavor_preference, *image_preference)) and {*flavor_most, *image_most} == {MOST}:
        return None
    preference = image_preference if any(image_preference) else flavor_preference
    most = [min(pair) for pair in zip(flavor_most, image_most, strict=True)]
    return Limits((preference[0], preference[1], preference[2]), (most[0], most[1], most[2]))


def topology_of(vcpus: int, limits: Limits | None) -> Topology | None:
    """The best arrangement; None when none is requested, and when none is possible."""
    if limits is None:
        return None
    return min(_possible(vcpus, limits.most), key=lambda one: _rank(one, limits.preferred), default=None)


def _possible(vcpus: int, most: tuple[int, int, int]) -> Iterator[Topology]:
    for threads in range(1, min(vcpus, most[2]) + 1):
        for cores in range(1, min(vcpus // threads, most[1]) + 1):
            sockets, rest = divmod(vcpus, threads * cores)
            if not rest and sockets <= most[0]:
                yield Topology(sockets, cores, threads)


def _rank(one: Topology, preferred: tuple[int, int, int]) -> tuple[int, int, int]:
    met = sum(want == has for want, has in zip(preferred, (one.sockets, one.cores, one.threads), strict=True))
    return -met, one.threads, one.cores
