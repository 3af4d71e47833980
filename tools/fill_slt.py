#!/usr/bin/env python3
"""Fills in the expected rows of SQL cases with DuckDB's own answers: the statements of each file run in the DuckDB library that the binary
links, with tables for streams and plain views for materialized ones.

    tools/fill_slt.py FILE…            rewrites the rows after each ----
    tools/fill_slt.py --check FILE…    says where they differ

For cases whose answers are DuckDB's: no quarantine, no late rows, no errors that only Millrace has, no tumble and its kin.
"""
import ctypes
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIBRARY = ROOT / "build" / "release" / "lib" / "libduckdb.so"
RESULT_BYTES = 256  # more than its struct duckdb_result has


class DuckDb:
    def __init__(self):
        self.library = ctypes.CDLL(str(LIBRARY))
        self.library.duckdb_result_error.restype = ctypes.c_char_p
        self.library.duckdb_value_varchar.restype = ctypes.c_void_p
        self.library.duckdb_column_count.restype = ctypes.c_uint64
        self.library.duckdb_row_count.restype = ctypes.c_uint64
        self.library.duckdb_value_is_null.restype = ctypes.c_bool
        for name in ("duckdb_value_varchar", "duckdb_value_is_null"):
            getattr(self.library, name).argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
        self.database, self.connection = ctypes.c_void_p(), ctypes.c_void_p()
        assert self.library.duckdb_open(None, ctypes.byref(self.database)) == 0
        assert self.library.duckdb_connect(self.database, ctypes.byref(self.connection)) == 0
        self.run("SET TimeZone = 'UTC'")

    def close(self):
        self.library.duckdb_disconnect(ctypes.byref(self.connection))
        self.library.duckdb_close(ctypes.byref(self.database))

    def run(self, sql):
        result = ctypes.create_string_buffer(RESULT_BYTES)
        if self.library.duckdb_query(self.connection, sql.encode(), result):
            raise ValueError(self.library.duckdb_result_error(result).decode())
        rows = []
        for row in range(self.library.duckdb_row_count(result)):
            values = []
            for column in range(self.library.duckdb_column_count(result)):
                null = self.library.duckdb_value_is_null(result, column, row)
                text = None if null else ctypes.string_at(self.library.duckdb_value_varchar(result, column, row)).decode()
                values.append(text)
            rows.append(values)
        self.library.duckdb_destroy_result(result)
        return rows


def as_duckdb(sql):
    """The statement as DuckDB knows it."""
    sql = re.sub(r"^(CREATE\s+(?:OR\s+REPLACE\s+)?)MATERIALIZED VIEW", r"\1VIEW", sql)
    sql = re.sub(r"^DROP MATERIALIZED VIEW", "DROP VIEW", sql)
    if not sql.startswith("CREATE STREAM"):
        return sql
    sql = sql.replace("CREATE STREAM", "CREATE TABLE", 1)
    return re.sub(r"\)\s*PARTITION BY .*$", ")", sql, flags=re.S)


def lines(rows):
    out = []
    for row in rows:
        values = ["NULL" if value is None else value or "(empty)" for value in row]
        out.append(" ".join(" ".join(values).split()))
    return out


def fill(path, check):
    """The text with DuckDB's answers."""
    database = DuckDb()
    out = []
    for block in re.split(r"\n\n+", path.read_text().strip("\n")):
        records = [line for line in block.split("\n") if not line.startswith("#")]
        comments = [line for line in block.split("\n") if line.startswith("#")]
        if not records:
            out.append(block)
            continue
        head, body = records[0], "\n".join(records[1:])
        if head == "statement ok":
            database.run(as_duckdb(body))
            out.append(block)
            continue
        if not head.startswith("query "):
            raise ValueError(f"{head} is not DuckDB's")
        sql, _, old = body.partition("\n----")
        sql = sql.rstrip().rstrip(";")
        rows = lines(database.run(f"SELECT COLUMNS(*)::VARCHAR FROM ({sql})"))
        if head.endswith(" rowsort"):
            rows.sort()
        if check and sorted(rows) != sorted(" ".join(line.split()) for line in old.strip("\n").split("\n") if line):
            raise ValueError(f"{sql}\nDuckDB answers\n" + "\n".join(rows))
        out.append("\n".join(comments + [head, sql + ";", "----"] + rows))
    database.close()
    return "\n\n".join(out) + "\n"


def main():
    check = "--check" in sys.argv
    failed = 0
    for name in sys.argv[1:]:
        if name == "--check":
            continue
        path = pathlib.Path(name)
        try:
            text = fill(path, check)
        except ValueError as error:
            failed += 1
            print(f"{path}: {error}")
            continue
        if not check:
            path.write_text(text)
    print(f"{len(sys.argv) - 1 - check - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
