"""Python's clients of PostgreSQL, unmodified: psycopg2, psycopg 3 in text and binary, asyncpg, SQLAlchemy."""
import asyncio
import datetime
import decimal
import uuid

import pytest

from pg_node import dsn, host_port, psql, started

VALUES = """SELECT true AS b, 1::TINYINT AS i1, 2::SMALLINT AS i2, 3::INTEGER AS i4, 4::BIGINT AS i8, 18446744073709551615::UBIGINT AS u8,
 170141183460469231731687303715884105727::HUGEINT AS h, 1.5::FLOAT AS f4, 0.1::DOUBLE AS f8, 12345.678::DECIMAL(18,3) AS d, 'zażółć' AS t,
 '\\x00\\xFF'::BLOB AS bytes, DATE '2024-02-29' AS day, TIME '12:34:56.789' AS clock, TIMESTAMP '2024-02-29 12:34:56.789' AS stamp,
 TIMESTAMPTZ '2024-02-29 12:34:56.789+00' AS atz, INTERVAL '1 day 2 hours' AS span, '00112233-4455-6677-8899-aabbccddeeff'::UUID AS u,
 [1, NULL, 3] AS list, ['a', 'b,c'] AS texts, {'x': 1, 'y': 'z'} AS s, NULL::INTEGER AS nothing"""
D = decimal.Decimal
EXPECTED = [True, 1, 2, 3, 4, D(18446744073709551615), D(2**127 - 1), 1.5, 0.1, D("12345.678"), "zażółć", b"\x00\xff", datetime.date(2024, 2, 29),
            datetime.time(12, 34, 56, 789000), datetime.datetime(2024, 2, 29, 12, 34, 56, 789000),
            datetime.datetime(2024, 2, 29, 12, 34, 56, 789000, datetime.timezone.utc), datetime.timedelta(days=1, hours=2),
            uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"), [1, None, 3], ["a", "b,c"], {"x": 1, "y": "z"}, None]


@pytest.fixture(scope="module")
def node(folder):
    node = started(folder)
    psql(node, "CREATE TABLE everything (id BIGINT PRIMARY KEY, b BOOLEAN, i SMALLINT, f DOUBLE, d DECIMAL(12,4), t VARCHAR, bytes BLOB, day DATE, "
               "clock TIME, happened TIMESTAMP, atz TIMESTAMPTZ, span INTERVAL, u UUID, list INTEGER[])")
    yield node
    node.stop()


def test_psycopg2_reads_writes_and_commits(node):
    import psycopg2
    import psycopg2.extras
    connection = psycopg2.connect(dsn(node))
    cursor = connection.cursor()
    psycopg2.extras.register_uuid()
    cursor.execute(VALUES)
    row = list(cursor.fetchone())
    row[11] = bytes(row[11])
    assert row == EXPECTED
    connection.rollback()
    cursor.execute("INSERT INTO products VALUES (%s, %s, %s, %s)", (1, "it's", D("2.50"), ["a", "b"]))
    assert cursor.rowcount == 1
    connection.commit()
    cursor.execute("SELECT name, price, tags FROM products WHERE id = %s", (1,))
    assert cursor.fetchone() == ("it's", D("2.50"), ["a", "b"])
    connection.rollback()
    with pytest.raises(psycopg2.errors.UniqueViolation):
        cursor.execute("INSERT INTO products (id, name) VALUES (1, 'x')")
    with pytest.raises(psycopg2.errors.InFailedSqlTransaction):
        cursor.execute("SELECT 1")
    connection.rollback()
    with pytest.raises(psycopg2.errors.ActiveSqlTransaction):
        cursor.execute("SELECT * FROM products")
        cursor.execute("DELETE FROM products")
    connection.rollback()
    named = connection.cursor("rows")
    named.itersize = 7
    named.execute("SELECT i FROM range(20) t(i)")
    assert [row[0] for row in named] == list(range(20))
    connection.commit()
    connection.autocommit = True
    cursor.execute("DELETE FROM products")
    connection.close()


@pytest.mark.parametrize("binary", [False, True])
def test_psycopg3_reads_every_type_and_prepares(node, binary):
    import psycopg
    with psycopg.connect(dsn(node), autocommit=True) as connection:
        cursor = connection.cursor(binary=binary)
        assert list(cursor.execute(VALUES).fetchone()) == EXPECTED
        values = [7, True, -5, 0.1, D("-12.5000"), "é'\\", b"\x00\x01", datetime.date(1999, 12, 31), datetime.time(1, 2, 3), datetime.datetime(2001, 2, 3, 4, 5, 6),
                  datetime.datetime(2001, 2, 3, 4, 5, 6, tzinfo=datetime.timezone.utc), datetime.timedelta(days=3, seconds=5), uuid.uuid4(), [1, 2, None]]
        cursor.execute(f"INSERT INTO everything VALUES ({', '.join(['%b' if binary else '%t'] * len(values))})", values)
        assert list(cursor.execute("SELECT * FROM everything WHERE id = %s", (7,)).fetchone()) == values
        cursor.execute("DELETE FROM everything WHERE id = %s", (7,))
        assert cursor.rowcount == 1
        for number in range(12):  # prepared from the sixth on
            assert cursor.execute("SELECT %s::BIGINT + 1, %s::TEXT", (number, "x")).fetchone() == (number + 1, "x")
        cursor.executemany("INSERT INTO bag VALUES (%s, %s)", [("many", number) for number in range(50)])
        assert cursor.execute("SELECT count(*), sum(n) FROM bag WHERE word = 'many'").fetchone() == (50, 1225)
        cursor.execute("DELETE FROM bag")


def test_psycopg3_pipelines_transactions_and_copies(node):
    import psycopg
    with psycopg.connect(dsn(node)) as connection:
        with connection.transaction():
            connection.execute("INSERT INTO products (id, name) VALUES (2, 'two')")
            connection.execute("UPDATE products SET name = 'zwei' WHERE id = 2")
        assert connection.execute("SELECT name FROM products WHERE id = 2").fetchone() == ("zwei",)
        connection.commit()
        with pytest.raises(psycopg.errors.UniqueViolation), connection.transaction():
            connection.execute("INSERT INTO products (id, name) VALUES (3, 'three')")
            connection.execute("INSERT INTO products (id, name) VALUES (2, 'again')")
        connection.commit()
        assert connection.execute("SELECT count(*) FROM products").fetchone() == (1,)
        connection.commit()
        connection.autocommit = True
        cursor = connection.cursor()
        for options in ("", "(FORMAT binary)"):
            with cursor.copy(f"COPY everything (id, d, t, list, happened) FROM STDIN {options}") as copy:
                if options:
                    copy.set_types(["int8", "numeric", "text", "int4[]", "timestamp"])
                for number in range(100):
                    copy.write_row((number, D("1.5"), "a\tb\n\\", [number, None], datetime.datetime(2026, 1, 1)))
            with cursor.copy(f"COPY (SELECT id, d, t, list, happened FROM everything ORDER BY id) TO STDOUT {options}") as copy:
                copy.set_types(["int8", "numeric", "text", "int4[]", "timestamp"])
                rows = list(copy.rows())
            assert len(rows) == 100 and rows[5] == (5, D("1.5"), "a\tb\n\\", [5, None], datetime.datetime(2026, 1, 1))
            cursor.execute("DELETE FROM everything")
        cursor.execute("DELETE FROM products")
        info = psycopg.types.TypeInfo.fetch(connection, "numeric")
        assert info.oid == 1700 and info.array_oid == 1231


def test_psycopg3_steps_through_cursors(node):
    import psycopg
    with psycopg.connect(dsn(node)) as connection, connection.cursor("rows", binary=True) as cursor:
        cursor.itersize = 7
        cursor.execute("SELECT i, 'x' || i AS t FROM range(20) r(i)")
        assert [column.name for column in cursor.description] == ["i", "t"]
        assert cursor.fetchmany(3) == [(i, f"x{i}") for i in range(3)]
        assert list(cursor) == [(i, f"x{i}") for i in range(3, 20)]
        cursor.close()
        with pytest.raises(psycopg.errors.InvalidCursorName), connection.transaction():
            connection.execute("FETCH 1 FROM rows")


def test_asyncpg_reads_writes_and_pools(node):
    import asyncpg
    host, port = host_port(node)

    async def run():
        connection = await asyncpg.connect(host=host, port=port, user="ann", database="millrace")
        row = list(await connection.fetchrow(VALUES))
        expected = list(EXPECTED)
        expected[20] = '{"x":1,"y":"z"}'
        assert row == expected
        await connection.execute("INSERT INTO products (id, name, price, tags) VALUES ($1, $2, $3, $4)", 5, "five", D("5.5"), ["x"])
        assert dict(await connection.fetchrow("SELECT * FROM products WHERE id = $1", 5)) == {"id": 5, "name": "five", "price": D("5.50"), "tags": ["x"]}
        await connection.executemany("INSERT INTO products (id, name) VALUES ($1, $2)", [(number, f"n{number}") for number in range(100, 160)])
        assert await connection.fetchval("SELECT count(*) FROM products WHERE id >= 100") == 60
        async with connection.transaction():
            assert len([record async for record in connection.cursor("SELECT i FROM range(100) t(i)", prefetch=9)]) == 100
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("INSERT INTO products (id, name) VALUES (5, 'again')")
        with pytest.raises(asyncpg.QueryCanceledError):
            await connection.execute("SET statement_timeout = '200ms'")
            await connection.fetch("SELECT count(*) FROM range(100000) a, range(100000) b WHERE a.range + b.range = 7")
        await connection.execute("RESET ALL")
        await connection.execute("DELETE FROM products")
        await connection.copy_records_to_table("products", records=[(1, "a", D("1.5"), None), (2, "b", None, ["t"])], columns=["id", "name", "price", "tags"])
        assert await connection.fetchval("SELECT count(*) FROM products") == 2
        await connection.execute("DELETE FROM products")
        await connection.close()
        async with asyncpg.create_pool(host=host, port=port, user="ann", database="millrace", min_size=2, max_size=4) as pool:
            assert await asyncio.gather(*(pool.fetchval("SELECT $1::INTEGER * 2", number) for number in range(40))) == [2 * number for number in range(40)]

    asyncio.run(run())


def test_sqlalchemy_reflects_and_maps(node):
    import sqlalchemy
    from sqlalchemy.orm import Session, declarative_base
    host, port = host_port(node)
    psql(node, "INSERT INTO products VALUES (1, 'tea', 2.5, NULL)")
    for driver in ("psycopg2", "psycopg"):
        engine = sqlalchemy.create_engine(f"postgresql+{driver}://ann@{host}:{port}/millrace")
        inspector = sqlalchemy.inspect(engine)
        assert set(inspector.get_table_names()) >= {"clicks", "products", "bag"}
        assert inspector.get_view_names() == ["cheap"]
        assert inspector.get_materialized_view_names() == ["by_product"]
        assert set(inspector.get_schema_names()) >= {"public", "millrace", "information_schema"}
        columns = {column["name"]: column for column in inspector.get_columns("products")}
        assert str(columns["price"]["type"]) == "NUMERIC(10, 2)" and columns["id"]["nullable"] is False
        assert str(columns["tags"]["type"].item_type) == "TEXT"
        assert inspector.get_pk_constraint("products")["constrained_columns"] == ["id"]
        assert inspector.get_foreign_keys("products") == []
        assert inspector.get_table_comment("products") == {"text": "What is sold"}
        assert len(inspector.get_check_constraints("clicks")) == 1
        assert inspector.has_table("products") and not inspector.has_table("nothing")
        inspector.get_indexes("products"), inspector.get_unique_constraints("products"), inspector.get_view_definition("cheap")
        metadata = sqlalchemy.MetaData()
        metadata.reflect(engine, views=True)
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.select(metadata.tables["products"])).fetchall() == [(1, "tea", D("2.50"), None)]

        class Product(declarative_base()):
            __tablename__ = "products"
            id = sqlalchemy.Column(sqlalchemy.BigInteger, primary_key=True)
            name = sqlalchemy.Column(sqlalchemy.String)

        with Session(engine) as session:
            session.add_all([Product(id=number, name=f"orm{number}") for number in range(10, 20)])
            session.commit()
            assert session.query(Product).filter(Product.name.like("orm%")).count() == 10
            session.rollback()
            session.execute(sqlalchemy.delete(Product).where(Product.id >= 10))
            session.commit()
        engine.dispose()
    assert node.sql("SELECT query, error FROM millrace.unanswered") == []
