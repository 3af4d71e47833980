"""Look-ups by several keys, by the first columns of a key and by range: the same rows over endpoints, /v1/sql and PostgreSQL's protocol as from
DuckDB's scan, with rows in memory, on disk only, and on their way; and EXPLAIN of them over each protocol."""
import asyncio
import json
import random
import threading
import urllib.parse

import pytest

from pg_node import dsn, host_port, psql

PROJECT = """
CREATE TABLE readings (sensor VARCHAR, second BIGINT, value DOUBLE, note VARCHAR, PRIMARY KEY (sensor, second));
CREATE STREAM lines (sensor VARCHAR NOT NULL, hour INTEGER NOT NULL, amount BIGINT NOT NULL);
CREATE MATERIALIZED VIEW sums AS SELECT sensor, hour, count(*) AS n, sum(amount)::BIGINT AS amount FROM lines GROUP BY sensor, hour;
CREATE ENDPOINT range ON GET '/range/{sensor}' (sensor VARCHAR, low BIGINT, high BIGINT)
  AS SELECT * FROM readings WHERE sensor = $sensor AND second BETWEEN $low AND $high;
CREATE ENDPOINT latest ON GET '/latest/{sensor}' (sensor VARCHAR, before BIGINT, n INTEGER DEFAULT 3)
  AS SELECT second, value FROM readings WHERE sensor = $sensor AND second < $before ORDER BY second DESC LIMIT $n;
CREATE ENDPOINT two ON GET '/two' (a VARCHAR, b VARCHAR, second BIGINT) AS SELECT * FROM readings WHERE sensor IN ($a, $b) AND second = $second;
"""
SENSORS = [f"s{number}" for number in range(40)]


def fill(node, seconds=200):
    node.sql(f"INSERT INTO readings SELECT 's' || (i % 40), i // 40, i / 7, CASE WHEN i % 3 = 0 THEN NULL ELSE 'note ' || i END FROM range({40 * seconds}) r(i)")
    node.send("lines", [json.dumps({"sensor": f"s{i % 40}", "hour": i // 40 % 24, "amount": i}) for i in range(4_000)], query="?wait=visible")


def ask(node, sql, params):
    body = json.dumps({"sql": sql, "params": params}).encode()
    return json.loads(node.request("POST", "/v1/sql", body, {"Content-Type": "application/json"})[2])["rows"]


def scan(sql):
    """The same question in words that no look-up is recognised in."""
    for relation in ("readings", "sums"):
        sql = sql.replace(f"FROM {relation}", f"FROM (SELECT * FROM {relation})")
    return sql


def questions(at):
    a, b, low = at.choice(SENSORS + ["none"]), at.choice(SENSORS), at.randrange(-5, 210)
    high = low + at.choice([-1, 0, 3, 50])
    return [("SELECT * FROM readings WHERE sensor = $1", [a]),
            ("SELECT * FROM readings WHERE sensor = $1 AND second BETWEEN $2 AND $3", [a, low, high]),
            ("SELECT * FROM readings WHERE sensor IN ($1, $2, $1) AND second > $3 AND second <= $4", [a, b, low, high]),
            ("SELECT second FROM readings WHERE sensor = $1 AND second >= $2 ORDER BY second LIMIT 4", [a, low]),
            ("SELECT second FROM readings WHERE sensor = $1 AND second < $2 ORDER BY second DESC LIMIT 4", [a, low]),
            ("SELECT * FROM readings WHERE sensor = $1 AND second = ANY($2)", [a, [low, high, low, 1]]),
            ("SELECT * FROM readings WHERE sensor = ANY($1::text[]) AND second = $2", [[], low]),
            ("SELECT * FROM readings WHERE second IN ($1, $2, $3) AND sensor = $4", [low, high, None, b]),
            ("SELECT hour, n FROM sums WHERE sensor = $1 AND hour < $2", [a, low % 30]),
            ("SELECT * FROM sums WHERE sensor >= $1 AND sensor < $2", [min(a, b), max(a, b)]),
            ("SELECT sensor, second FROM readings ORDER BY sensor, second LIMIT 5", [])]


def check(node, at, rounds, connections):
    """Each question at one step, asked both ways in one block over PostgreSQL's protocol, and over HTTP."""
    for _ in range(rounds):
        for sql, params in questions(at):
            for connection, binary in connections:
                text = sql
                for number in range(len(params), 0, -1):
                    text = text.replace(f"${number}", f"%(p{number})s")
                values = {f"p{number + 1}": value for number, value in enumerate(params)}
                with connection.transaction():
                    rows = connection.execute(text, values, prepare=True, binary=binary).fetchall()
                    again = connection.execute(scan(text), values, prepare=True, binary=binary).fetchall()
                if "ORDER BY" not in sql:
                    rows, again = sorted(rows, key=repr), sorted(again, key=repr)
                assert rows == again, (sql, params)
            assert len(ask(node, sql, params)) <= 8_000


@pytest.mark.parametrize("memory", ["1GiB", "64MiB"])
def test_all_protocols_give_what_a_scan_gives_while_rows_flow(make_node, seed, memory):
    import psycopg
    node = make_node(PROJECT, "--memory", memory)
    node.start()
    fill(node)
    if memory == "64MiB":  # another content that takes the memory
        node.sql("CREATE TABLE filler (id BIGINT PRIMARY KEY, text VARCHAR)")
        for begin in range(0, 60_000, 20_000):
            node.sql(f"INSERT INTO filler SELECT i, repeat('x', 500) || i FROM range({begin}, {begin + 20_000}) r(i)")
        node.wait_for_flush()
    stop = threading.Event()
    problems = []

    def write():
        number = 0
        while not stop.is_set():
            number += 1
            try:
                node.sql(f"UPDATE readings SET value = {number} WHERE second % 7 = {number % 7}; DELETE FROM readings WHERE second = {number % 200} AND sensor < 's2';"
                         f"INSERT OR REPLACE INTO readings SELECT 's' || i, {number % 200}, {number}, NULL FROM range(40) r(i)")
            except Exception as error:  # noqa: BLE001 - told below
                problems.append(error)
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with psycopg.connect(dsn(node), autocommit=True) as text, psycopg.connect(dsn(node), autocommit=True) as binary:
            check(node, random.Random(seed), 12, [(text, False), (binary, True)])
    finally:
        stop.set()
        writer.join()
    assert not problems
    # Without writers all three agree.
    at = random.Random(seed + 1)
    for _ in range(20):
        sensor, low = at.choice(SENSORS), at.randrange(200)
        expected = sorted(ask(node, scan("SELECT * FROM readings WHERE sensor = $1 AND second BETWEEN $2 AND $3"), [sensor, low, low + 9]))
        assert sorted(ask(node, "SELECT * FROM readings WHERE sensor = $1 AND second BETWEEN $2 AND $3", [sensor, low, low + 9])) == expected
        rows = node.get(f"/range/{sensor}?" + urllib.parse.urlencode({"low": low, "high": low + 9}))
        assert sorted(list(row.values()) for row in rows) == expected
        latest = node.get(f"/latest/{sensor}?before={low}&n=2")
        assert [row["second"] for row in latest] == [row[0] for row in ask(node, scan(
            "SELECT second FROM readings WHERE sensor = $1 AND second < $2 ORDER BY second DESC LIMIT 2"), [sensor, low])]
    assert len(node.get("/two?a=s1&b=s1&second=4")) == 1
    node.stop()


def test_explain_says_the_path_over_each_protocol(make_node):
    import psycopg
    node = make_node(PROJECT)
    node.start()
    fill(node, 5)
    sql = "SELECT * FROM readings WHERE sensor = $1 AND second >= $2"
    assert ask(node, "EXPLAIN " + sql, [])[0] == ['RANGE on (sensor, second) in "readings"']
    assert node.sql("EXPLAIN SELECT * FROM readings WHERE sensor = 's1' AND second IN (1, 2)")[0] == ['LOOKUP of 2 keys (sensor, second) in "readings"']
    assert node.sql("EXPLAIN SELECT * FROM readings WHERE sensor = 's1' AND second = 2")[0] == ['LOOKUP by key (sensor, second) in "readings"']
    assert node.sql("EXPLAIN SELECT count(*) FROM readings")[0][0].startswith("SCAN by DuckDB at step ")
    assert any("readings" in row[0] for row in ask(node, "EXPLAIN SELECT count(*) FROM readings WHERE value > $1", [1.5]))
    assert "RANGE on (sensor, hour) in \"sums\"" in psql(node, "EXPLAIN SELECT * FROM sums WHERE sensor = 's1'")
    with psycopg.connect(dsn(node), autocommit=True) as connection:
        for _ in range(3):
            plan = connection.execute("EXPLAIN SELECT * FROM readings WHERE sensor = %s AND second BETWEEN %s AND %s", ("s1", 1, 3), prepare=True).fetchall()
            assert plan == [('RANGE on (sensor, second) in "readings"',), ('  "sensor" = $1 AND "second" >= $2 AND "second" <= $3',)]
    assert "RANGE" in node.cli("sql", "EXPLAIN SELECT * FROM readings WHERE sensor = 's1'").stdout
    node.stop()


def test_drivers_send_arrays_of_keys(make_node):
    """Described as arrays, so that drivers that ask for the types first can send them."""
    import asyncpg
    node = make_node(PROJECT)
    node.start()
    fill(node, 5)
    host, port = host_port(node)

    async def run():
        connection = await asyncpg.connect(host=host, port=port, user="ann", database="millrace")
        statement = await connection.prepare("SELECT second FROM readings WHERE sensor = $1 AND second = ANY($2) ORDER BY second")
        assert [parameter.name for parameter in statement.get_parameters()] == ["text", "int8[]"]
        for _ in range(3):
            assert [row[0] for row in await statement.fetch("s3", [4, 2, 2, 99, None])] == [2, 4]
            assert await statement.fetch("s3", []) == []
        rows = await connection.fetch("SELECT second FROM readings WHERE sensor = 's3' AND second > $1 ORDER BY second LIMIT $2", 1, 2)
        assert [row[0] for row in rows] == [2, 3]
        assert [row[0] for row in await connection.fetch("EXPLAIN SELECT * FROM readings WHERE sensor = ANY($1::text[]) AND second = $2", ["s1"], 1)][0] == \
            'LOOKUP of the keys in a list (sensor, second) in "readings"'
        await connection.close()

    asyncio.run(run())
    assert node.metric("pg_lookups_total") > 4
    node.stop()


def test_a_key_that_is_declared_against_the_order_of_the_columns(make_node):
    node = make_node("CREATE TABLE t (a BIGINT, b BIGINT, c BIGINT, PRIMARY KEY (b, a)); CREATE INDEX ON t (c, a);")
    node.start()
    node.sql("INSERT INTO t SELECT i % 10, i // 10, i % 7 FROM range(100) r(i)")
    assert node.sql("EXPLAIN SELECT * FROM t WHERE a = 1 AND b = 2")[0] == ['LOOKUP by key (b, a) in "t"']
    assert node.sql("EXPLAIN SELECT * FROM t WHERE a = 1 AND c = 2")[0] == ['LOOKUP by index (c, a) in "t"']
    assert ask(node, "SELECT c FROM t WHERE a = $1 AND b = $2", [1, 2]) == [[0]]
    assert ask(node, "SELECT b FROM t WHERE a = $1 AND c = $2 ORDER BY b", [1, 1]) == [[0], [7]]
    assert node.get("/v1/tables/t/" + urllib.parse.quote('{"a":1,"b":2}'))["c"] == 0
    node.stop()


def test_integers_longer_than_64_bits_go_both_ways(node):
    long = 747669595737540263936
    node.sql("CREATE STREAM large (h HUGEINT, n DECIMAL(38, 2), d DOUBLE, list DECIMAL(38, 0)[], j JSON)")
    node.send("large", ['{"h": %d, "n": %d, "d": %d, "list": [%d], "j": {"n": %d}}' % ((long,) * 5)], query="?wait=visible")
    for column in "h", "n", "d", "list[1]":
        assert ask(node, f"SELECT count(*) FROM large WHERE {column} = $1", [long]) == [[1]], column
        assert ask(node, f"SELECT count(*) FROM large WHERE {column} = $1", [long + 1]) == [[int(column == "d")]], column
    shown = node.cli("sql", "SELECT h, n, d, list, j FROM large")
    assert shown.returncode == 0, shown.stderr
    cells = [cell.strip() for cell in shown.stdout.splitlines()[2].split("|")]
    assert cells == [str(long), f"{long}.00", "7.476695957375403e+20", f"[{long}]", '{"n": %d}' % long], cells
