# SPDX-License-Identifier: Apache-2.0
"""The nouns: frozen values that cross rooms.  They know no database, no bus and no hypervisor."""
