# SPDX-License-Identifier: Apache-2.0
"""The exploration of random plans: `make simulate` (docs/reliability.md)."""
