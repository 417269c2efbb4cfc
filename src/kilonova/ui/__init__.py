# SPDX-License-Identifier: Apache-2.0
"""The web page: the files that a browser receives (`static`), and their reader."""
