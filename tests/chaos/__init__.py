# SPDX-License-Identifier: Apache-2.0
"""`make chaos`: clients use a fleet of real processes while faults come and go at random."""
