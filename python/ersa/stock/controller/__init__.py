# SPDX-License-Identifier: BSD-3-Clause
"""`ipyparallel.controller`: only its dependencies."""
