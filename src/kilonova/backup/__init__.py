# SPDX-License-Identifier: Apache-2.0
"""A host's state as one file, and back.  Guests' disks are not in it."""
