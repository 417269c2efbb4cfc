# SPDX-License-Identifier: Apache-2.0
"""The figures of `make bench`: one small module per group, each with its control measured in the same run."""
