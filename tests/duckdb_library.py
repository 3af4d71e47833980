"""DuckDB's own library, as the binary links it: what writes the Parquet files of the tests."""
import ctypes

from node import BINARY

RESULT_BYTES = 256  # more than its struct duckdb_result has


def run(*statements):
    library = ctypes.CDLL(str(BINARY.parent.parent / "lib" / "libduckdb.so"))
    library.duckdb_result_error.restype = ctypes.c_char_p
    database, connection = ctypes.c_void_p(), ctypes.c_void_p()
    assert library.duckdb_open(None, ctypes.byref(database)) == 0
    assert library.duckdb_connect(database, ctypes.byref(connection)) == 0
    try:
        for statement in statements:
            result = ctypes.create_string_buffer(RESULT_BYTES)
            failed = library.duckdb_query(connection, statement.encode(), result)
            assert not failed, (statement, library.duckdb_result_error(result).decode())
            library.duckdb_destroy_result(result)
    finally:
        library.duckdb_disconnect(ctypes.byref(connection))
        library.duckdb_close(ctypes.byref(database))
