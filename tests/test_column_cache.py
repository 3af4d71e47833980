"""Streams in columns beside the log: every answer is the one that the log gives, whatever becomes of the stream, the node or the disk."""
import json
import os
import threading
import time

import pytest

from node import Refused, serving
from small_disk import small_disk

ENOUGH = 130_000  # records that a query must read, and that must be new, before any are copied: 122,880


def state(node, stream):
    """(state, records in columns, records beyond) of a stream; none while nothing is known of it."""
    found = node.sql(f"SELECT state, records, records_beyond FROM millrace.column_cache WHERE stream = '{stream}'")
    return tuple(found[0]) if found else None


def wait_until_copied(node, stream, query=None, seconds=60):
    """Has queries read the stream until the cache takes no more of it."""
    deadline = time.monotonic() + seconds
    while True:
        node.sql(query or f"SELECT count(_offset) FROM {stream}")
        now = state(node, stream)
        if now and now[0] == "waiting" and now[1] > 0 and now[2] < 122_880:
            return now
        assert time.monotonic() < deadline, (now, "".join(node.stderr))
        time.sleep(0.1)


def rows(count, first=0):
    return [json.dumps({"id": i, "name": f"n{i % 7}"}) for i in range(first, first + count)]


def send(node, stream, lines):
    before = node.books(stream).get("records", 0)
    for begin in range(0, len(lines), 50_000):
        node.send(stream, lines[begin:begin + 50_000])
    node.wait_for_records(stream, before + len(lines))


def answers(node, queries):
    return [node.sql(query) for query in queries]


def check_against_the_log(node, queries):
    """The answers are those of the same node without the cache."""
    found = answers(node, queries)
    flags = node.flags
    node.stop()
    node.flags = ("--column-cache", "off")
    node.start()
    assert answers(node, queries) == found
    assert node.sql("FROM millrace.column_cache") == []
    node.stop()
    node.flags = flags
    node.start()


PLAIN = "CREATE STREAM s (id BIGINT, name VARCHAR);\n"
QUERIES = ["SELECT count(*) FROM s", "SELECT count(*), sum(id)::BIGINT, min(id), max(id), count(DISTINCT name) FROM s",
           "SELECT name, count(*), sum(_offset)::BIGINT FROM s GROUP BY 1 ORDER BY 1", "SELECT * FROM s WHERE id % 10007 = 3 ORDER BY id",
           "SELECT _partition, min(_offset), max(_offset), count(_late), min(_timestamp), max(_ingested_at) FROM s GROUP BY ALL ORDER BY ALL",
           "SELECT count(*) FROM s a JOIN s b USING (id) WHERE a.name = 'n3'", "SELECT name FROM s WHERE id = 129999",
           "SELECT a.n, b.n FROM (SELECT count(*) n FROM s) a, (SELECT count(DISTINCT id) n FROM s) b"]

TYPES = """CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
CREATE STREAM t (a BOOLEAN, b TINYINT, c SMALLINT, d INTEGER, e BIGINT NOT NULL, f HUGEINT, g UTINYINT, h USMALLINT, i UINTEGER, j UBIGINT, k UHUGEINT,
    l DECIMAL(20, 4), m FLOAT, n DOUBLE, o VARCHAR, p BLOB, q DATE, r TIME, s TIMESTAMP, u TIMESTAMPTZ, v INTERVAL, w UUID, x mood, y BIGINT[], z STRUCT(p VARCHAR, q INTEGER[]),
    za MAP(VARCHAR, BIGINT), zb INTEGER[3], zc JSON);
"""
INSERT_TYPES = """INSERT INTO t SELECT i % 3 = 0, i % 100, i % 30000, i, i, i::HUGEINT * 10000000000000000, i % 200, i % 60000, i, i, i::UHUGEINT * 3, i / 7, i / 3, i / 11,
    CASE WHEN i % 5 = 0 THEN NULL ELSE 'text ' || i % 1000 END, encode('b' || i), DATE '2026-01-01' + (i % 1000)::INTEGER, TIME '00:00:00' + to_seconds(i % 86400),
    TIMESTAMP '2026-01-01' + to_seconds(i), TIMESTAMPTZ '2026-01-01 00:00:00+00' + to_seconds(i), to_days((i % 40)::INTEGER), ('00000000-0000-0000-0000-' || lpad(i::VARCHAR, 12, '0'))::UUID,
    (['sad', 'ok', 'glad'])[i % 3 + 1]::mood, CASE WHEN i % 4 = 0 THEN NULL ELSE [i, NULL, i + 1] END, {'p': 'x' || i, 'q': [i % 9]}, MAP {'k' || i % 3: i}, [i, i + 1, NULL]::INTEGER[3],
    ('{"a":' || i || '}')::JSON FROM range(%d, %d) r(i)"""


def test_values_of_all_types_come_back_as_they_are(make_node):
    node = make_node(TYPES)
    node.start()
    for begin in range(0, ENOUGH, 13_000):
        node.sql(INSERT_TYPES.replace("FROM range(%d, %d)", f"FROM range({begin}, {begin + 13_000})"))
    columns = [row[0] for row in node.sql("DESCRIBE t")]
    assert len(columns) == 28
    queries = [f"SELECT count({column}), count(DISTINCT {column}), md5(string_agg({column}::VARCHAR, ',' ORDER BY e)) FROM t" for column in columns]
    queries += ["SELECT * FROM t WHERE e % 13001 = 5 ORDER BY e", "SELECT x, count(*), sum(l), max(v) FROM t WHERE z.p > 'x5' GROUP BY 1 ORDER BY 1",
                "SELECT count(*) FROM t WHERE x = 'ok' AND y[1] > 100 AND za['k1'] IS NOT NULL", "SELECT count(*) FROM t WHERE o = 'text 7' AND s < TIMESTAMP '2026-01-02'"]
    by_log = answers(node, queries)
    wait_until_copied(node, "t")
    assert "Column cache" in str(node.sql("EXPLAIN SELECT count(*) FROM t WHERE e > 5"))
    assert answers(node, queries) == by_log
    node.stop()


def test_partitions_and_set_aside_rows(make_node):
    node = make_node("CREATE STREAM s (id BIGINT NOT NULL, name VARCHAR, seen TIMESTAMP, WATERMARK FOR seen AS seen - INTERVAL 1 SECOND) INTO 3 PARTITIONS WITH (late = 'keep');\n"
                     "CREATE STREAM d (id BIGINT NOT NULL, seen TIMESTAMP, WATERMARK FOR seen AS seen - INTERVAL 1 SECOND, DEDUPLICATE ON (id)) WITH (late = 'divert');\n")
    node.start()
    for begin in range(0, 200_000, 50_000):
        lines = [json.dumps({"id": i if i % 9973 else None, "name": f"n{i % 7}", "seen": f"2026-01-0{1 + begin // 50_000 - (2 if i % 1000 == 1 and begin else 0)} 00:00:00"})
                 if 1 + begin // 50_000 > 2 or i % 1000 != 1 else json.dumps({"id": i, "name": "x", "seen": "2025-12-30 00:00:00"}) for i in range(begin, begin + 50_000)]
        send(node, "s", lines)
        send(node, "d", [json.dumps({"id": i if i % 9973 else None, "seen": json.loads(lines[i - begin])["seen"]}) for i in range(begin, begin + 50_000)])
        send(node, "d", [json.dumps({"id": i, "seen": "2026-02-01 00:00:00"}) for i in range(max(0, begin - 100), begin)])  # duplicates
    queries = [query for query in QUERIES if "a.name" not in query]
    queries += [query.replace("FROM s", "FROM d").replace("name", "seen") for query in queries[:2]]
    queries += ["SELECT _late, count(*) FROM s GROUP BY 1 ORDER BY 1", "SELECT count(*) FROM s.quarantine", "SELECT count(*), sum(_offset)::BIGINT FROM d",
                "SELECT count(*) FROM d.late", "SELECT count(*) FROM s WHERE _partition = 1 AND _offset BETWEEN 1000 AND 50000"]
    by_log = answers(node, queries)
    late = node.sql("SELECT count(*) FROM s WHERE _late")[0][0]
    assert late > 0 and node.books("d")["duplicates"] > 0 and node.sql("SELECT count(*) FROM d.late")[0][0] > 0
    wait_until_copied(node, "s")
    wait_until_copied(node, "d")
    coverage = node.sql("SELECT coverage FROM millrace.column_cache WHERE stream = 's'")[0][0]
    assert [part["partition"] for part in coverage] == [0, 1, 2] and all(part["end_offset"] > 0 for part in coverage)
    assert answers(node, queries) == by_log
    send(node, "s", [json.dumps({"id": 1, "name": "new", "seen": "2026-01-09 00:00:00"})] * 1000)
    assert node.sql("SELECT count(*) FROM s WHERE name = 'new'") == [[1000]]
    check_against_the_log(node, queries)
    node.stop()


def test_records_that_are_deleted_are_gone_at_once_and_later_from_the_file(make_node):
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient
    node = make_node("CREATE STREAM s (id BIGINT, name VARCHAR) INTO 2 PARTITIONS;\n")
    node.start()
    send(node, "s", rows(200_000))
    wait_until_copied(node, "s")
    admin = AdminClient({"bootstrap.servers": node.kafka})
    for before in [10, 20_000, 60_000]:
        expected = node.sql(f"SELECT count(*), sum(id)::BIGINT FROM s WHERE _partition = 1 OR _offset >= {before}")
        assert next(iter(admin.delete_records([TopicPartition("s", 0, before)]).values())).result(30).low_watermark == before
        assert node.sql("SELECT count(*), sum(id)::BIGINT FROM s") == expected
        assert node.sql(f"SELECT count(*) FROM s WHERE _partition = 0 AND _offset < {before}") == [[0]]
        assert "Column cache" in str(node.sql("EXPLAIN SELECT sum(id) FROM s"))
    expected = answers(node, QUERIES)
    deadline = time.monotonic() + 40
    while node.sql("SELECT coverage[1].first_offset FROM millrace.column_cache") != [[60_000]]:
        assert time.monotonic() < deadline, node.sql("FROM millrace.column_cache")
        time.sleep(0.5)
    assert answers(node, QUERIES) == expected
    end = node.sql("SELECT max(_offset) + 1 FROM s WHERE _partition = 0")[0][0]
    assert next(iter(admin.delete_records([TopicPartition("s", 0, end)]).values())).result(30).low_watermark == end
    send(node, "s", rows(1000, 200_000))
    check_against_the_log(node, QUERIES)
    node.stop()


def test_altered_dropped_and_made_again(make_node):
    node = make_node("")
    node.start()
    node.sql("CREATE STREAM s (id BIGINT, name VARCHAR)")
    send(node, "s", rows(ENOUGH))
    wait_until_copied(node, "s")
    node.sql("ALTER STREAM s ADD COLUMN more INTEGER DEFAULT 7")
    assert node.sql("SELECT count(*), sum(more)::BIGINT FROM s") == [[ENOUGH, 7 * ENOUGH]]
    wait_until_copied(node, "s", "SELECT sum(more) FROM s")
    assert node.sql("SELECT count(*), sum(more)::BIGINT FROM s") == [[ENOUGH, 7 * ENOUGH]]
    node.sql("ALTER STREAM s RENAME COLUMN name TO label")
    node.sql("ALTER STREAM s RENAME TO r")
    assert node.sql("SELECT label, count(*) FROM r GROUP BY 1 ORDER BY 1 LIMIT 1") == [["n0", len(range(0, ENOUGH, 7))]]
    wait_until_copied(node, "r")
    assert node.sql("SELECT label, count(*) FROM r GROUP BY 1 ORDER BY 1 LIMIT 1") == [["n0", len(range(0, ENOUGH, 7))]]
    node.sql("DROP STREAM r")
    node.sql("CREATE STREAM r (id VARCHAR)")
    node.sql("INSERT INTO r VALUES ('one')")
    assert node.sql("SELECT * FROM r") == [["one"]] and node.sql("SELECT count(*) FROM r") == [[1]]
    deadline = time.monotonic() + 20
    while node.metric("millrace_column_cache_bytes") > 1 << 20:  # the room of what is gone
        assert time.monotonic() < deadline, node.sql("FROM millrace.column_cache")
        time.sleep(0.1)
    node.stop()


def test_rows_that_come_while_it_is_read(make_node, seed):
    """A sum over the stream is that of a view of it at the same step, however far the copy is."""
    node = make_node(PLAIN + "CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n, sum(id)::BIGINT AS total FROM s;\n")
    node.start()
    stop = threading.Event()
    failed = []
    reads = [0, 0]

    def produce():
        first = 0
        while not stop.is_set() and first < 1_500_000:
            node.send("s", rows(5000, first))
            first += 5000

    def read(index):
        while not stop.is_set():
            try:
                # One query, one step: the stream by the copy and the log, and the view.
                found = node.sql("SELECT (SELECT count(*) FROM s), (SELECT sum(id)::BIGINT FROM s), (SELECT count(DISTINCT id) FROM s), (SELECT n FROM totals), (SELECT total FROM totals)")[0]
                if found[0] != found[3] or found[1] != found[4] or found[0] != found[2]:
                    failed.append(found)
                reads[index] += 1
            except (Refused, OSError) as error:
                failed.append(repr(error))
                return

    threads = [threading.Thread(target=produce), *(threading.Thread(target=read, args=(i,)) for i in range(2))]
    for thread in threads:
        thread.start()
    threads[0].join()
    deadline = time.monotonic() + 60
    while not failed and node.metric("millrace_column_cache_scans_total") == 0 and time.monotonic() < deadline:
        time.sleep(0.2)  # the readers go on until the copy has been read
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed, failed[:3]
    assert sum(reads) >= 10, reads
    assert state(node, "s")[1] > 122_880 and node.metric("millrace_column_cache_scans_total") > 0
    node.kill()  # while it may be filled
    node.start()
    check_against_the_log(node, QUERIES[:4])
    node.stop()


def test_a_kill_leaves_nothing_to_recover(make_node):
    node = make_node(PLAIN)
    node.start()
    send(node, "s", rows(400_000))
    expected = answers(node, QUERIES)
    for _ in range(3):
        node.sql("SELECT count(_offset) FROM s")
        time.sleep(0.3)  # it is filled
        node.kill()
        node.start()
        assert state(node, "s") is None
        assert answers(node, QUERIES) == expected
    wait_until_copied(node, "s")
    assert answers(node, QUERIES) == expected
    node.stop()


def test_a_folder_that_cannot_be_written_means_no_cache(make_node):
    node = make_node(PLAIN)
    node.start()
    node.stop()
    folder = f"{node.data}/column_cache"
    for name in os.listdir(folder):
        os.remove(f"{folder}/{name}")
    os.rmdir(folder)
    with open(folder, "w") as file:
        file.write("no folder")
    node.start()
    send(node, "s", rows(ENOUGH))
    for _ in range(3):
        assert node.sql("SELECT count(*), sum(id)::BIGINT FROM s") == [[ENOUGH, sum(range(ENOUGH))]]
    assert node.sql("FROM millrace.column_cache") == []
    assert any("no column cache" in line for line in node.stderr), node.stderr
    node.stop()


def test_a_file_that_rots_costs_the_cache_and_no_answer(make_node):
    node = make_node(PLAIN, "--memory", "64MiB")  # few blocks stay in memory
    node.start()
    send(node, "s", [json.dumps({"id": i, "name": os.urandom(40).hex()}) for i in range(600_000)])
    expected = node.sql("SELECT count(*), sum(id)::BIGINT, sum(hash(name) % 1000)::BIGINT FROM s")
    wait_until_copied(node, "s")
    path = f"{node.data}/column_cache/columns.duckdb"
    with open(path, "r+b") as file:
        file.seek(3 * 4096)
        file.write(os.urandom(os.path.getsize(path) - 3 * 4096))
    for _ in range(3):
        assert node.sql("SELECT count(*), sum(id)::BIGINT, sum(hash(name) % 1000)::BIGINT FROM s") == expected
    deadline = time.monotonic() + 20
    while node.metric("millrace_column_cache_failed") == 0:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not os.path.exists(path)
    assert sum("column cache is off" in line for line in node.stderr) == 1, node.stderr
    assert node.sql("SELECT count(*), sum(id)::BIGINT, sum(hash(name) % 1000)::BIGINT FROM s") == expected
    node.stop()


def test_a_disk_without_room_means_no_copies(make_node, tmp_path):
    data = tmp_path / "data"
    with small_disk(data / "column_cache", "4m"), serving(make_node(PLAIN, data=data)) as node:
        send(node, "s", rows(300_000))
        deadline = time.monotonic() + 20
        while (state(node, "s") or [""])[0] != "full":
            assert node.sql("SELECT count(*), sum(id)::BIGINT FROM s") == [[300_000, sum(range(300_000))]]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert state(node, "s")[1] == 0


def test_at_its_bound_the_stream_read_longest_ago_goes(make_node):
    node = make_node("CREATE STREAM a (id BIGINT, text VARCHAR);\nCREATE STREAM b (id BIGINT, text VARCHAR);\n", "--column-cache", "16MiB")
    node.start()
    for stream, count in [("a", 150_000), ("b", 700_000)]:
        send(node, stream, [json.dumps({"id": i, "text": os.urandom(20).hex()}) for i in range(count)])
    expected = {stream: node.sql(f"SELECT count(*), sum(id)::BIGINT, count(DISTINCT text) FROM {stream}") for stream in "ab"}
    wait_until_copied(node, "a")
    deadline = time.monotonic() + 60
    while (state(node, "b") or [""])[0] != "full":
        node.sql("SELECT count(_offset) FROM b")
        assert time.monotonic() < deadline, node.sql("FROM millrace.column_cache")
        time.sleep(0.1)
    assert state(node, "a") is None  # made room
    assert 0 < state(node, "b")[1] < 700_000  # its first part
    assert node.metric("millrace_column_cache_bytes") <= 17 << 20
    for stream in "ab":
        assert node.sql(f"SELECT count(*), sum(id)::BIGINT, count(DISTINCT text) FROM {stream}") == expected[stream]
    node.stop()


def test_parameters_prepared_statements_and_transactions(make_node):
    import psycopg
    node = make_node(PLAIN + "CREATE ENDPOINT counted ON GET '/counted' (low BIGINT) AS SELECT count(*) AS n FROM s WHERE id >= $low;\n")
    node.start()
    send(node, "s", rows(ENOUGH))
    host, port = node.pg.split(":")
    with psycopg.connect(host=host, port=port, user="x", dbname="millrace", autocommit=True, prepare_threshold=1) as connection:
        ask = lambda low: connection.execute("SELECT count(*), min(name) FROM s WHERE id >= %s", [low]).fetchone()
        for _ in range(3):
            assert ask(100) == (ENOUGH - 100, "n0")
        wait_until_copied(node, "s")
        for low in [0, 100, 129_999, 200_000]:
            assert ask(low) == (max(0, ENOUGH - low), None if low == 200_000 else "n0" if low < 129_999 else f"n{129_999 % 7}")
            assert node.get(f"/counted?low={low}") == [{"n": max(0, ENOUGH - low)}]
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            first = connection.execute("SELECT count(*) FROM s").fetchone()
            send(node, "s", rows(ENOUGH, ENOUGH))
            wait_until_copied(node, "s")
            # A step from before what is copied now.
            assert connection.execute("SELECT count(*), max(id) FROM s").fetchone() == (first[0], ENOUGH - 1)
        assert ask(0) == (2 * ENOUGH, "n0")
        node.sql("CREATE TABLE t (name VARCHAR PRIMARY KEY, n BIGINT)")
        node.sql("INSERT INTO t SELECT name, count(*) FROM s GROUP BY 1")
        assert node.sql("SELECT sum(n)::BIGINT FROM t") == [[2 * ENOUGH]]
        node.sql("UPDATE t SET n = (SELECT count(*) FROM s WHERE s.name = t.name) + 1")
        assert node.sql("SELECT sum(n)::BIGINT FROM t") == [[2 * ENOUGH + 7]]
    node.stop()


def test_nobody_reaches_the_file_or_its_tables_by_name(make_node):
    node = make_node(PLAIN)
    node.start()
    send(node, "s", rows(ENOUGH))
    wait_until_copied(node, "s")
    path = f"{node.data}/column_cache/columns.duckdb"
    for text in ["SELECT database_name FROM pragma_database_size()", "FROM copy_1", "FROM main.copy_1", f"SELECT size FROM read_blob('{path}')", "FROM pragma_storage_info('copy_1')",
                 "FROM query_table('copy_1')", f"ATTACH '{path}' AS c", "FROM copy_2 c"]:
        with pytest.raises(Refused) as refused:
            print(text, node.sql(text))
        assert "millrace_" not in refused.value.body, refused.value.body  # its name
    for text in ["FROM duckdb_databases()", "FROM duckdb_tables()", "FROM duckdb_columns()", "FROM duckdb_schemas()", "FROM information_schema.tables", "FROM information_schema.columns",
                 "FROM information_schema.schemata", "FROM pg_catalog.pg_class", "FROM pg_catalog.pg_database", "FROM pg_catalog.pg_tables", "FROM pg_catalog.pg_namespace",
                 "SELECT * FROM (SHOW ALL TABLES)", "EXPLAIN SELECT * FROM s", "FROM pragma_database_list", "FROM duckdb_memory()", "FROM duckdb_temporary_files()"]:
        try:
            found = str(node.sql(text))
        except Refused as refused:
            found = refused.body
        assert "copy_" not in found and "columns.duckdb" not in found, (text, found)
        assert not any(len(word) == 41 and word.startswith("millrace_") for word in found.replace("'", " ").replace(".", " ").split()), (text, found)
    node.stop()


def test_plans_say_how_much_is_in_columns(make_node):
    node = make_node(PLAIN)
    node.start()
    send(node, "s", rows(ENOUGH))
    wait_until_copied(node, "s")
    totals = "SELECT count(*), sum(id)::BIGINT FROM s"
    plan = str(node.sql(f"EXPLAIN {totals}"))
    assert f"{ENOUGH} of {ENOUGH}" in plan and "UNION" not in plan
    for more in [0, 10]:
        send(node, "s", rows(more, ENOUGH)) if more else None
        for text in [totals, totals]:  # by a plan that is kept
            assert node.sql(text) == [[ENOUGH + more, sum(range(ENOUGH + more))]]
    plan = str(node.sql("EXPLAIN SELECT sum(id) FROM s"))
    assert f"{ENOUGH} of {ENOUGH + 10}" in plan and "10 records beyond" in plan
    assert state(node, "s") == ("waiting", ENOUGH, 10)
    node.stop()
