# SPDX-License-Identifier: Apache-2.0
"""The record of a process: all that it receives from outside, and the replay of it (docs/replay.md)."""
