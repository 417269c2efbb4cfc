# SPDX-License-Identifier: Apache-2.0
"""`kilonova doctor`: checks a host for known problems, and reports how to correct them."""
