# SPDX-License-Identifier: Apache-2.0
"""`make scale`: figures of a fleet of many simulated hosts."""
