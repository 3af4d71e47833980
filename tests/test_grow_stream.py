"""A stream gets more partitions while rows come and the process is killed: every row is counted once, whichever partition it came to."""
import json
import random
import threading
import time

import pytest

from node import Refused
from test_kafka import wait_for

PROJECT = """
CREATE STREAM s (id BIGINT NOT NULL, k INTEGER, t TIMESTAMP NOT NULL, WATERMARK FOR t AS t - INTERVAL 10 SECONDS, DEDUPLICATE ON (id) WITHIN INTERVAL 1 DAY)
  PARTITION BY (k) INTO 2 PARTITIONS;
CREATE MATERIALIZED VIEW per_k AS SELECT k, count(*) AS n, sum(id)::BIGINT AS ids FROM s GROUP BY k;
CREATE MATERIALIZED VIEW per_minute AS SELECT window_start, count(*) AS n FROM tumble(s, t, INTERVAL 1 MINUTE) GROUP BY window_start EMIT ON WINDOW CLOSE;
"""


def rows(begin, count):
    return [json.dumps({"id": i, "k": i % 50, "t": f"2024-01-01T00:{i // 100 % 60:02}:00"}) for i in range(begin, begin + count)]


def partitions(node):
    return node.sql("SELECT partitions FROM millrace.streams WHERE name = 's'")[0][0]


def test_partitions_are_added_under_load_and_kills(make_node, seed):
    choose = random.Random(seed)
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    node.sql(PROJECT)
    stop, failure, sent = threading.Event(), [], [0]

    def send_all():
        try:
            while not stop.is_set():
                begin = sent[0]
                deadline = time.monotonic() + 60
                while True:
                    try:
                        node.send("s", rows(begin, 20), key=f"block-{begin}")
                        break
                    except (OSError, Refused) as error:  # killed, starting, or behind: the same block again
                        assert not isinstance(error, Refused) or error.status in (429, 503), error
                        assert time.monotonic() < deadline, error
                        time.sleep(0.02)
                sent[0] = begin + 20
        except BaseException as error:  # shown by the main thread
            failure.append(error)

    sender = threading.Thread(target=send_all)
    sender.start()
    for number in [3, 5, 8, 16]:
        killer = threading.Timer(choose.uniform(0, 0.05), node.kill) if choose.random() < 0.6 else None
        if killer:
            killer.start()
        try:
            node.sql(f"ALTER STREAM s INTO {number} PARTITIONS")
        except (OSError, Refused) as error:
            assert killer and not isinstance(error, Refused), error
        if killer:
            killer.join()
            node.process.wait()
            node.start()
            node.sql(f"ALTER STREAM s INTO {number} PARTITIONS")  # as often as one likes
        assert partitions(node) == number
        node.sql(f"CREATE MATERIALIZED VIEW from_{number} AS SELECT k, count(*) AS n FROM s GROUP BY k")  # from history
        time.sleep(0.1)
    stop.set()
    sender.join()
    assert not failure, failure
    wait_for(lambda: node.sql("SELECT sum(n)::BIGINT FROM per_k") == [[sent[0]]], seconds=60)
    assert node.sql("SELECT sum(ids)::BIGINT FROM per_k") == [[sent[0] * (sent[0] - 1) // 2]]
    for view in ["per_k", "from_3", "from_5", "from_8", "from_16"]:
        wait_for(lambda: node.difference(view) == 0)
    assert node.get("/v1/ledger")["balanced"] is True
    # The rows stand in the new partitions too, and a duplicate is one wherever it comes to.
    assert node.sql("SELECT count(*) FROM millrace.partitions WHERE topic = 's' AND end_offset > 0")[0][0] > 2
    node.send("s", rows(0, 20))
    wait_for(lambda: node.books("s")["duplicates"] >= 20)
    assert node.sql("SELECT sum(n)::BIGINT FROM per_k") == [[sent[0]]]
    node.stop()
    node.start()
    assert partitions(node) == 16
    assert node.sql("SELECT sum(n)::BIGINT FROM per_k") == [[sent[0]]]
    node.stop()


def test_columns_altered_before_are_read_as_they_were(make_node):
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    node.sql("CREATE STREAM s (id BIGINT, x INTEGER) PARTITION BY (id) INTO 2 PARTITIONS")
    node.sql("CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n FROM s")
    node.send("s", [json.dumps({"id": i, "x": i}) for i in range(10)])
    node.sql("ALTER STREAM s ADD COLUMN y INTEGER DEFAULT 7")
    node.sql("ALTER STREAM s INTO 6 PARTITIONS")
    node.send("s", [json.dumps({"id": i, "x": i, "y": i}) for i in range(10, 100)])
    wait_for(lambda: node.sql("SELECT n FROM total") == [[100]])
    assert node.sql("SELECT count(*), sum(y)::BIGINT FROM s") == [[100, 70 + sum(range(10, 100))]]
    node.kill()
    node.start()
    node.sql("ALTER STREAM s DROP COLUMN x")
    node.sql("CREATE MATERIALIZED VIEW again AS SELECT count(*) AS n, sum(y)::BIGINT AS y FROM s")
    wait_for(lambda: node.sql("SELECT n, y FROM again") == [[100, 70 + sum(range(10, 100))]])
    node.stop()


def test_columns_change_right_after_rows_without_waiting_for_more(make_node):
    """The newest frame of the log is then often the record of a step, which no other step takes in."""
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    node.sql("CREATE STREAM s (id BIGINT)")
    node.sql("CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n FROM s")
    for i in range(150):
        node.send("s", [json.dumps({"id": i})])
        node.sql(f"ALTER STREAM s ADD COLUMN c{i} INTEGER")
    wait_for(lambda: node.sql("SELECT n FROM total") == [[150]])
    node.stop()


@pytest.mark.parametrize("statement, message", [
    ("ALTER STREAM s INTO 1 PARTITIONS", "stream \\\"s\\\" has 2 partitions: they cannot become fewer"),
    ("ALTER STREAM s INTO 0 PARTITIONS", "from 1 to 1024, got 0"),
    ("ALTER STREAM s INTO 2000 PARTITIONS", "from 1 to 1024, got 2000"),
    ("ALTER STREAM s INTO many PARTITIONS", "expected a number of partitions"),
    ("ALTER STREAM t INTO 3 PARTITIONS", "stream \\\"t\\\" does not exist"),
    ("ALTER TABLE u INTO 3 PARTITIONS", "expected RENAME TO"),
])
def test_what_cannot_be_done_says_why(make_node, statement, message):
    node = make_node("CREATE STREAM s (id BIGINT) INTO 2 PARTITIONS; CREATE TABLE u (id BIGINT PRIMARY KEY);")
    node.start()
    with pytest.raises(Refused) as refused:
        node.sql(statement)
    assert message in refused.value.body
    node.stop()


def test_a_project_may_say_more_partitions_and_not_fewer(make_node, tmp_path):
    node = make_node("CREATE STREAM s (id BIGINT) INTO 2 PARTITIONS;")
    project = tmp_path / "project0" / "project.sql"
    node.start()
    node.send("s", [json.dumps({"id": i}) for i in range(10)])
    for text, there in [("CREATE STREAM s (id BIGINT) INTO 4 PARTITIONS;", 4), ("CREATE STREAM s (id BIGINT) INTO 3 PARTITIONS;", 4),
                        ("CREATE STREAM s (id BIGINT) INTO 3 PARTITIONS WITH (retention = '10 days');", 4)]:
        node.stop()
        project.write_text(text)
        node.start()
        assert partitions(node) == there and node.sql("SELECT count(*) FROM s") == [[10]]
    node.sql("ALTER STREAM s INTO 8 PARTITIONS")
    node.stop()
    node.start()
    assert partitions(node) == 8
    node.stop()
