# SPDX-License-Identifier: Apache-2.0
"""The libvirt driver.  `libvirt.LibvirtDriver` is its short name."""

from kilonova.virt.libvirt.driver import LibvirtDriver

__all__ = ["LibvirtDriver"]
