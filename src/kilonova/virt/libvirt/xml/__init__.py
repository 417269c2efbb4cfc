# SPDX-License-Identifier: Apache-2.0
"""libvirt's documents as frozen values that render themselves: domain, devices, platform, network and the layers of a
disk.
"""
