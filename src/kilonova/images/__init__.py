# SPDX-License-Identifier: Apache-2.0
"""The bytes of images: the store that keeps them, and the inspection that accepts or refuses them."""
