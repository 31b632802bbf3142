# SPDX-License-Identifier: BSD-3-Clause
"""`ipyparallel.engine`: only its datapub."""
