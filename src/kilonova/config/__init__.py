# SPDX-License-Identifier: Apache-2.0
"""Configuration under Nova's option names.

One file per option group: its oslo.config options and the frozen settings made of them.  `load` reads files once;
settings are handed down by wiring.  There is no global CONF.
"""
