"""What reads and writes PostgreSQL in columns, by binary COPY: DuckDB's PostgreSQL reader and ADBC, unmodified; and the types of parameters for
which a client names none."""
import datetime
import decimal
import pathlib

import duckdb
import pyarrow
import pytest

from pg_node import dsn, host_port

PROJECT = """
CREATE STREAM orders (id BIGINT NOT NULL, customer VARCHAR, amount DECIMAL(10,2), placed TIMESTAMP, tags VARCHAR[], ok BOOLEAN);
CREATE TABLE customers (name VARCHAR PRIMARY KEY, since DATE, score DOUBLE);
CREATE MATERIALIZED VIEW by_customer AS SELECT customer, count(*) AS n, sum(amount) AS total FROM orders GROUP BY customer;
"""
DAY = datetime.date(2026, 1, 1)
D = decimal.Decimal


@pytest.fixture
def filled(node):
    node.sql("INSERT INTO orders SELECT i, 'c' || (i % 5), i / 3, TIMESTAMP '2026-01-01' + INTERVAL (i) MINUTE, ['a', NULL, 'b' || i], i % 2 = 0 "
             "FROM range(10000) r(i)")
    node.sql("INSERT INTO customers SELECT 'c' || i, DATE '2026-01-01', i * 0.5 FROM range(5) r(i)")
    return node


def attached(node):
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    import duckdb_extension_postgres_scanner
    folder = pathlib.Path(duckdb_extension_postgres_scanner.__file__).parent
    extension, = folder.rglob("postgres_scanner.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
    connection.execute(f"ATTACH '{dsn(node)}' AS m (TYPE postgres)")
    return connection


def test_duckdb_attaches_reads_joins_and_appends(filled):
    connection = attached(filled)

    def rows(sql):
        return connection.execute(sql).fetchall()

    tables = {(row[1], row[2]) for row in rows("SHOW ALL TABLES")}
    assert {("public", "orders"), ("public", "customers"), ("public", "by_customer"), ("millrace", "views")} <= tables
    assert rows("FROM m.by_customer ORDER BY customer") == [(f"c{i}", 2000, total) for i, total in enumerate(
        [D("3331666.67"), D("3332333.33"), D("3333000.00"), D("3333666.67"), D("3334333.33")])]
    assert rows("FROM m.orders WHERE id = 1") == [(1, "c1", D("0.33"), datetime.datetime(2026, 1, 1, 0, 1), ["a", None, "b1"], False)]
    assert rows("SELECT count(*), sum(amount), max(placed), count(tags) FROM m.orders WHERE ok") == [
        (5000, D("8331666.67"), datetime.datetime(2026, 1, 7, 22, 38), 5000)]
    assert rows("SELECT c.score, count(*) FROM m.orders o JOIN m.customers c ON o.customer = c.name GROUP BY ALL ORDER BY 1") == [
        (i * 0.5, 2000) for i in range(5)]
    assert rows("FROM postgres_query('m', 'SELECT n FROM by_customer WHERE customer = ''c3''')") == [(2000,)]
    connection.execute("INSERT INTO m.customers VALUES ('z', DATE '2026-02-02', NULL)")
    connection.execute("INSERT INTO m.orders SELECT 100000 + range, 'z', 1.25, NULL, [range::VARCHAR], true FROM range(1000)")
    assert rows("FROM m.customers WHERE name = 'z'") == [("z", datetime.date(2026, 2, 2), None)]
    assert filled.sql("SELECT n, total::VARCHAR FROM by_customer WHERE customer = 'z'") == [[1000, "1250.00"]]
    connection.close()


def adbc(node):
    import adbc_driver_postgresql.dbapi
    host, port = host_port(node)
    return adbc_driver_postgresql.dbapi.connect(f"postgresql://ann@{host}:{port}/millrace", autocommit=True)


def test_adbc_reads_looks_around_and_ingests(filled):
    with adbc(filled) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id, customer, placed, tags, ok FROM orders ORDER BY id LIMIT 2")
        assert cursor.fetch_arrow_table().to_pylist() == [
            {"id": 0, "customer": "c0", "placed": datetime.datetime(2026, 1, 1), "tags": ["a", None, "b0"], "ok": True},
            {"id": 1, "customer": "c1", "placed": datetime.datetime(2026, 1, 1, 0, 1), "tags": ["a", None, "b1"], "ok": False}]
        cursor.execute("SELECT * FROM customers WHERE name = $1", ("c3",))
        assert cursor.fetchall() == [("c3", DAY, 1.5)]
        assert connection.adbc_get_table_schema("orders").names == ["id", "customer", "amount", "placed", "tags", "ok"]
        catalog = connection.adbc_get_objects(depth="columns").read_all().to_pylist()[0]
        tables = {table["table_name"]: [column["column_name"] for column in
                                        sorted(table["table_columns"], key=lambda column: column["ordinal_position"])]
                  for schema in catalog["catalog_db_schemas"] if schema["db_schema_name"] == "public" for table in schema["db_schema_tables"]}
        assert tables["customers"] == ["name", "since", "score"] and "by_customer" in tables
        table = pyarrow.table({"name": ["x1", "x2"], "since": pyarrow.array([None, DAY], pyarrow.date32()), "score": [1.0, None]})
        assert cursor.adbc_ingest("customers", table, mode="append") == 2
        assert cursor.adbc_ingest("made_by_adbc", table, mode="create") == 2
        cursor.executemany("INSERT INTO customers VALUES ($1, $2, $3)", [(f"y{i}", DAY, i * 0.5) for i in range(3)])
    assert filled.sql("SELECT name, since::VARCHAR, score FROM customers WHERE name > 'x' ORDER BY name") == [
        ["x1", None, 1.0], ["x2", "2026-01-01", None], ["y0", "2026-01-01", 0.0], ["y1", "2026-01-01", 0.5], ["y2", "2026-01-01", 1.0]]
    assert filled.sql("SELECT count(*) FROM made_by_adbc") == [[2]]


@pytest.mark.parametrize("sql, values, oids, first", [
    ("SELECT id FROM orders WHERE customer = ANY($1) ORDER BY id", ["{c1,v}"], [1009], "1"),
    ("SELECT count(*) FROM orders WHERE customer <> ALL($1)", ["{c1,v}"], [1009], "8000"),
    ("SELECT id FROM orders WHERE id = ANY($1) AND customer = $2", ["{2,6}", "c1"], [1016, 25], "6"),
    ("SELECT id FROM orders WHERE amount = ANY($1)", ["{0.33}"], [1231], "1"),
    ("SELECT id FROM orders WHERE placed = ANY($1)", ["{2026-01-01 00:05:00}"], [1115], "5"),
    ("SELECT name FROM customers WHERE since = ANY($1) ORDER BY name", ["{2026-01-01}"], [1182], "c0"),
    ("SELECT count(*) FROM orders WHERE ok = ANY($1)", ["{t}"], [1000], "5000"),
    ("SELECT id FROM orders WHERE id = ANY($1) AND customer = ANY($2) AND placed <> ALL($3) AND $4 + 1 > id",
     ["{1,6,7}", "{c1}", "{2026-01-01 00:01:00}", "100"], [1016, 1009, 1115, 20], "6"),
    ("SELECT $1 + 1, $2", ["4", "x"], [20, 25], "5"),
    ("SELECT $1 + 1, $2, $3 - 1", ["4", "x", "1"], [20, 25, 20], "5"),
    ("SELECT TIMESTAMP '2026-01-01' + $1 * INTERVAL '1 hour'", ["2"], [20], "2026-01-01 02:00:00"),
    ("SELECT relname FROM pg_catalog.pg_class c WHERE c.relkind = ANY($1) AND relname = $2", ["{r,m}", "orders"], [1009, 25], "orders"),
])
def test_types_of_parameters_follow_from_the_query(filled, sql, values, oids, first):
    import psycopg
    with psycopg.connect(dsn(filled), autocommit=True) as connection:
        wire = connection.pgconn
        wire.prepare(b"", sql.encode())
        described = wire.describe_prepared(b"")
        assert [described.param_type(i) for i in range(described.nparams)] == oids, described.error_message
        result = wire.exec_prepared(b"", [value.encode() for value in values])
        assert (result.error_message, result.get_value(0, 0)) == (b"", first.encode())


def test_a_described_copy_is_no_changed_plan(filled):
    import psycopg
    with psycopg.connect(dsn(filled), autocommit=True) as connection:
        result = connection.pgconn.exec_params(b"COPY (SELECT n FROM by_customer ORDER BY customer LIMIT 1) TO STDOUT", [])
        assert result.status == psycopg.pq.ExecStatus.COPY_OUT, result.error_message
        assert connection.pgconn.get_copy_data(0)[1].tobytes() == b"2000\n"
        assert connection.pgconn.get_copy_data(0)[0] == -1
        while connection.pgconn.get_result() is not None:
            pass


def test_names_may_say_the_database(filled):
    import psycopg
    with psycopg.connect(dsn(filled), autocommit=True) as connection:
        for name in '"millrace"."public"."by_customer"', "millrace.public.by_customer", "public.by_customer":
            assert connection.execute(f"SELECT count(*) FROM {name}").fetchone() == (5,)
        assert connection.execute("SELECT count(*) > 0 FROM millrace.millrace.views").fetchone() == (True,)
        connection.execute('CREATE MATERIALIZED VIEW "millrace"."public"."large" AS SELECT * FROM "millrace"."public"."orders" WHERE amount > 3000')
        connection.execute('CREATE VIEW over AS SELECT id FROM large')
        connection.execute('REFRESH MATERIALIZED VIEW "millrace"."public"."large"')
        connection.execute('ALTER TABLE "millrace"."public"."over" RENAME TO "above"')  # any relation, as in PostgreSQL
        assert connection.execute("SELECT count(*) FROM above").fetchone() == connection.execute("SELECT count(*) FROM large").fetchone()
        reads = connection.execute("SELECT d.refobjid::regclass::text FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid "
                                   "WHERE r.ev_class = 'above'::regclass AND d.deptype = 'n'").fetchall()
        assert reads == [("large",)]
        with pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("REFRESH MATERIALIZED VIEW above")
        connection.execute('DROP MATERIALIZED VIEW IF EXISTS "millrace"."public"."large" CASCADE')
        assert connection.execute("SELECT to_regclass('public.above')").fetchone() == (None,)
