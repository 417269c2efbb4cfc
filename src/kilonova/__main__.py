# SPDX-License-Identifier: Apache-2.0
"""`python -m kilonova` is the command `kilonova`."""

from kilonova.cmd.main import main

main()
