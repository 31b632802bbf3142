# SPDX-License-Identifier: BSD-3-Clause
"""`ipyparallel.client`: only what clients send functions of."""
