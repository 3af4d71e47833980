"""Columns are altered while rows come and the process is killed: every row is counted once, under the columns it came with."""
import json
import pathlib
import random
import threading
import time

import pytest

from node import Refused

PROJECT = """
CREATE STREAM s (id BIGINT NOT NULL, k INTEGER) PARTITION BY (k) INTO 3 PARTITIONS;
CREATE MATERIALIZED VIEW per_k AS SELECT k, count(*) AS n, sum(id)::BIGINT AS ids FROM s GROUP BY k;
"""
ALTERS = ["ADD COLUMN x{n} INTEGER NOT NULL DEFAULT {n}", "ALTER COLUMN x{n} TYPE BIGINT", "RENAME COLUMN x{n} TO y{n}",
          "ALTER COLUMN y{n} SET DEFAULT 0", "DROP COLUMN y{n}", "ADD COLUMN x VARCHAR DEFAULT 'round {n}'", "DROP COLUMN x"]
ROUNDS = 4


def test_columns_change_under_load_and_kills(make_node, seed):
    choose = random.Random(seed)
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    node.sql(PROJECT)
    stop = threading.Event()
    failure = []
    sent = [0]

    def send_all():
        try:
            while not stop.is_set():
                begin = sent[0]
                lines = [json.dumps({"id": begin + i, "k": (begin + i) % 7}) for i in range(20)]
                deadline = time.monotonic() + 60
                while True:
                    try:
                        answer = node.send("s", lines, key=f"block-{begin}")
                        assert answer["accepted"] == len(lines), answer
                        break
                    except (OSError, Refused) as error:  # killed, starting, or behind: the same block again
                        assert not isinstance(error, Refused) or error.status in (429, 503), error
                        assert time.monotonic() < deadline, error
                        time.sleep(0.02)
                sent[0] = begin + len(lines)
        except BaseException as error:  # shown by the main thread
            failure.append(error)

    def columns():
        return [row[0] for row in node.sql("SELECT name FROM millrace.columns WHERE relation = 's' ORDER BY position")]

    sender = threading.Thread(target=send_all)
    sender.start()
    kills = 0
    for n in range(ROUNDS):
        for alter in ALTERS:
            statement = "ALTER STREAM s " + alter.format(n=n)
            killer = threading.Timer(choose.uniform(0, 0.05), node.kill) if choose.random() < 0.5 else None
            before = columns()
            if killer:
                killer.start()
            try:
                node.sql(statement)
            except (OSError, Refused) as error:
                assert killer and (not isinstance(error, Refused) or error.status == 503), (statement, error)
            if killer:
                killer.join()
                kills += 1
                node.start()
                if columns() == before and not alter.startswith("ALTER COLUMN"):
                    node.sql(statement)  # the kill came first: nothing of it has happened
                elif alter.startswith("ALTER COLUMN"):
                    node.sql(statement)  # twice is once
            assert not failure, failure
    stop.set()
    sender.join()
    assert not failure, failure
    node.wait_for_records("s", sent[0])
    assert kills >= 5
    assert columns() == ["id", "k"]
    assert node.sql("SELECT count(*), count(DISTINCT id), count(DISTINCT k) FROM s") == [[sent[0], sent[0], 7]]
    assert node.sql("SELECT count(*) FROM s.quarantine") == [[0]]
    assert node.sql("SELECT * FROM per_k ORDER BY k") == node.sql("SELECT k, count(*), sum(id)::BIGINT FROM s GROUP BY k ORDER BY k")
    assert node.get("/v1/ledger")["balanced"]
    node.stop()


def test_every_door_knows_the_columns(make_node):
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    node.sql("CREATE STREAM s (id BIGINT, a INTEGER, DEDUPLICATE ON (id))")
    node.send("s", ['{"id": 1, "a": 1}', '{"id": 2, "a": "x"}'], query="?wait=visible")
    node.sql("ALTER STREAM s RENAME COLUMN a TO b")
    node.sql("ALTER STREAM s ADD COLUMN c VARCHAR DEFAULT 'none'")
    node.send("s", ["id,a,c", "3,3,three"], content_type="text/csv", query="?wait=visible")
    node.send("s", ['{"id": 1, "b": 4}'], query="?wait=visible")
    assert node.sql("SELECT * FROM s ORDER BY id") == [[1, 1, "none"], [3, 3, "three"]]
    assert [row[:2] for row in node.sql("DESCRIBE s")] == [["id", "BIGINT"], ["b", "INTEGER"], ["c", "VARCHAR"]]
    traced = node.get("/v1/trace/s/0/0")
    assert traced["row"] == {"id": 1, "a": 1}
    assert node.get("/v1/trace/s/0/3")["duplicate_of"]["offset"] == 0
    assert node.sql("SELECT _column FROM s.quarantine") == [["a"]]
    node.kill()
    node.start()
    node.send("s", ['{"id": 5, "a": 5, "c": null}', '{"id": 3}'], query="?wait=visible")
    assert node.sql("SELECT * FROM s ORDER BY id") == [[1, 1, "none"], [3, 3, "three"], [5, 5, None]]
    assert node.books("s")["duplicates"] == 2
    node.sql("ALTER STREAM s DROP ALIAS a")
    node.send("s", ['{"id": 6, "a": 6}'], query="?wait=visible")
    assert node.sql("SELECT b FROM s WHERE id = 6") == [[None]]
    node.stop()


def test_a_project_alters_what_it_can(make_node):
    node = make_node("CREATE STREAM s (id INTEGER, a INTEGER); CREATE MATERIALIZED VIEW v AS SELECT count(a) AS n FROM s;"
                     "CREATE MATERIALIZED VIEW w AS SELECT sum(a)::BIGINT AS a FROM s;")
    node.start()
    node.send("s", ['{"id": 1, "a": 1}', '{"id": 2, "a": 2}'], query="?wait=visible")
    node.stop()
    file = next(pathlib.Path(node.project).glob("*.sql"))
    views = "CREATE MATERIALIZED VIEW v AS SELECT count(a) AS n FROM s;"
    file.write_text("CREATE STREAM s (id BIGINT, c VARCHAR DEFAULT 'c', a INTEGER);" + views
                    + "CREATE MATERIALIZED VIEW w AS SELECT sum(a)::BIGINT AS a FROM s;")
    node.start()
    node.send("s", ['{"id": 3, "c": "d", "a": 3}'], query="?wait=visible")
    assert node.sql("SELECT * FROM s ORDER BY id") == [[1, "c", 1], [2, "c", 2], [3, "d", 3]]
    assert node.sql("SELECT v.n, w.a FROM v, w") == [[3, 6]]
    node.stop()
    file.write_text("CREATE STREAM s (id BIGINT, a INTEGER);" + views
                    + "CREATE MATERIALIZED VIEW w AS SELECT sum(a)::BIGINT AS a FROM s;")
    with pytest.raises(Exception, match="allow-drop s"):
        node.start()
    node.flags = ("--allow-drop", "s")
    node.start()
    assert node.sql("SELECT * FROM s ORDER BY id") == [[1, 1], [2, 2], [3, 3]]
    assert node.sql("SELECT v.n, w.a FROM v, w") == [[3, 6]]
    node.stop()
