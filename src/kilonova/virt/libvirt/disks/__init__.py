# SPDX-License-Identifier: Apache-2.0
"""Guests' disks: root, ephemeral, swap and rescue disks, their chains of files, snapshots, resizing and the config
drive.
"""
