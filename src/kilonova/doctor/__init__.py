# SPDX-License-Identifier: Apache-2.0
"""`kilonova doctor`: looks at a host as an expert would, and says what to do."""
