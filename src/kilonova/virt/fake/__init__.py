# SPDX-License-Identifier: Apache-2.0
"""A hypervisor in memory and its driver.  `fake.FakeDriver` is the driver's short name."""

from kilonova.virt.fake.driver import FakeDriver
from kilonova.virt.fake.machine import FakeHypervisor

__all__ = ["FakeDriver", "FakeHypervisor"]
