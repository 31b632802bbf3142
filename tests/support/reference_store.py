# SPDX-License-Identifier: BSD-3-Clause
"""The reference's SQLite store, over a database that it or our controller wrote (.venv-ref)."""
from ipyparallel.controller.sqlitedb import SQLiteDB


class Reference(SQLiteDB):
    """The reference's store. With SQLite 3.37 and later it takes its own tables for foreign ones (the type
    of a column is reported in capitals); the check of names and order stays."""

    def _check_table(self):
        cursor = self._db.execute(f"PRAGMA TABLE_INFO('{self.table}')")
        names = [row[1] for row in cursor.fetchall()]
        return not names or names == self._keys


def reference(folder, table="ipython-tasks"):
    return Reference(session="8ab8e0b2-fae05e5b2c9b0db4ee5c2e43", location=str(folder), table=table)
