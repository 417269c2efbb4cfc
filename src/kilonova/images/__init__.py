# SPDX-License-Identifier: Apache-2.0
"""Images' bytes: the store that keeps them, and the inspection that says whether a disk may be made of them."""
