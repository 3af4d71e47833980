"""Statements over the PostgreSQL protocol that are cancelled, or run out of time."""
import subprocess
import threading
import time

import psycopg
import pytest

from pg_node import Wire, dsn, field, psql, started

SLOW = "SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range + b.range = 7"


@pytest.fixture(scope="module")
def node(folder):
    node = started(folder)
    yield node
    node.stop()


def test_a_statement_is_cancelled_and_times_out(node):
    out = psql(node, "SET statement_timeout = '300ms'", SLOW, check=False)
    assert "57014" in psql(node, "\\set VERBOSITY verbose", "SET statement_timeout = '300ms'", SLOW, check=False) and "ERROR" in out
    process = subprocess.Popen(["psql", "-X", dsn(node), "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(1)
    process.send_signal(2)  # Ctrl-C: psql sends a CancelRequest
    begin = time.monotonic()
    _, err = process.communicate(timeout=30)
    assert "cancel" in err and time.monotonic() - begin < 5


def test_a_write_that_is_cancelled_changes_nothing(node):
    psql(node, "CREATE TABLE slowly (k INTEGER PRIMARY KEY, n BIGINT)", "INSERT INTO slowly VALUES (1, 1)")
    statements = [f"INSERT INTO slowly VALUES (2, ({SLOW}))", f"UPDATE slowly SET n = ({SLOW})", f"DELETE FROM slowly WHERE n < ({SLOW})"]
    with psycopg.connect(dsn(node), autocommit=True) as connection:
        def cancelled(statement):
            timer = threading.Timer(0.7, connection.cancel)
            timer.start()
            begin = time.monotonic()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute(statement)
            timer.join()
            assert time.monotonic() - begin < 5, statement

        for statement in statements:
            cancelled(statement)
            assert connection.execute("SELECT k, n FROM slowly").fetchall() == [(1, 1)]
            # Within a block, whose earlier writes go with it.
            connection.execute("BEGIN")
            connection.execute("UPDATE slowly SET n = 7")
            cancelled(statement)
            connection.execute("ROLLBACK")
            assert connection.execute("SELECT k, n FROM slowly").fetchall() == [(1, 1)]
        connection.execute("UPDATE slowly SET n = n + 1")  # the table takes writes as before
        assert connection.execute("SELECT n FROM slowly").fetchone() == (2,)


def test_catalog_queries_are_cancelled_too(node):
    wire = Wire(node)
    wire.send((b"Q", b"SET statement_timeout = '300ms'; SELECT count(*) FROM pg_type a, pg_type b, pg_type c, pg_type d, pg_type e WHERE a.typname || b.typname < c.typname || d.typname || e.typname\0"))
    begin = time.monotonic()
    errors = [field(body, b"C") for kind, body in wire.until(b"Z") if kind == b"E"]
    assert errors == ["57014"] and time.monotonic() - begin < 5
    wire.close()
