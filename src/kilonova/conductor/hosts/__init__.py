# SPDX-License-Identifier: Apache-2.0
"""What hosts are and what they report: registration, processes, liveness, boots, guests."""
