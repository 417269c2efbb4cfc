# SPDX-License-Identifier: Apache-2.0
"""The crash matrix (`make crashes`, docs/reliability.md): kill -9 at each failpoint, and a comparison afterwards."""
