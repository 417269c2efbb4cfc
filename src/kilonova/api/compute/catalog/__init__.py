# SPDX-License-Identifier: Apache-2.0
"""What a user chooses from for a server: flavors and key pairs, and the image proxy."""
