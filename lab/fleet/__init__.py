# SPDX-License-Identifier: Apache-2.0
"""A whole fleet on one machine, of real processes: `make fleet` tells its story, tests and benchmarks use its parts."""
