"""?wait=visible: the answer comes when the step is visible, and says what the step decided."""
import json

SQL = """
CREATE STREAM once (id BIGINT, v BIGINT, DEDUPLICATE ON (id)) PARTITION BY (id) INTO 3 PARTITIONS;
CREATE STREAM timed (id BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL 1 MINUTE) WITH (late = 'divert');
CREATE STREAM kept (id BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL 1 MINUTE);
CREATE STREAM strict (id BIGINT) WITH (on_invalid = 'reject');
CREATE MATERIALIZED VIEW total AS SELECT count(*) AS n FROM once;
"""


def send(node, stream, rows, **kwargs):
    answer = node.send(stream, [json.dumps(row) for row in rows], query="?wait=visible&timeout=20s", **kwargs)
    assert answer["visible"] is True
    return answer


def at(id, hour):
    return {"id": id, "ts": f"2024-05-01T{hour:02}:00:00"}


def test_duplicates_and_late_rows_are_counted_and_hold_up_nobody(make_node):
    node = make_node(SQL)
    node.start()
    rows = [{"id": i, "v": i} for i in range(100)]
    answer = send(node, "once", rows)
    assert (answer["accepted"], answer["duplicates"], answer["late"]) == (100, 0, 0)
    # Every row is a duplicate: nothing in any view changes, and the answer comes all the same.
    answer = send(node, "once", rows)
    assert (answer["accepted"], answer["duplicates"], answer["late"]) == (100, 100, 0)
    answer = send(node, "once", [{"id": 200, "v": 1}, {"id": 200, "v": 2}, {"id": 3, "v": 1}, {"id": 201, "v": 1}])
    assert (answer["accepted"], answer["duplicates"]) == (4, 2)
    assert node.sql("SELECT n FROM total") == [[102]]

    assert send(node, "timed", [at(1, 12)])["late"] == 0
    answer = send(node, "timed", [at(2, 10), at(3, 11)])  # all late
    assert (answer["accepted"], answer["duplicates"], answer["late"]) == (2, 0, 2)
    answer = send(node, "timed", [at(4, 10), at(5, 13)])
    assert answer["late"] == 1
    assert node.sql("SELECT id FROM timed ORDER BY id") == [[1], [5]]
    send(node, "kept", [at(1, 12)])
    assert send(node, "kept", [at(2, 10)])["late"] == 1
    assert node.sql("SELECT count(*) FROM kept") == [[2]]

    answer = node.send("once", ['{"id": "x"}'], query="?wait=visible")  # all in quarantine
    assert (answer["accepted"], answer["quarantined"], answer["duplicates"], answer["visible"]) == (0, 1, 0, True)
    assert node.get("/v1/ledger")["balanced"]
    node.stop()


def test_a_repeated_request_is_visible_at_once(make_node):
    node = make_node(SQL)
    node.start()
    first = send(node, "once", [{"id": 1}, {"id": 1}], key="k")
    assert (first["accepted"], first["duplicates"]) == (2, 1)
    again = send(node, "once", [{"id": 1}, {"id": 1}], key="k")
    assert again["repeated"] and again["accepted"] == 2
    assert "duplicates" not in again  # where its rows stand is not remembered
    node.stop()


def test_a_long_body_is_counted_over_all_of_its_pieces(make_node):
    node = make_node(SQL)
    node.start()
    rows = [{"id": i % 30_000, "v": i} for i in range(40_000)]
    answer = send(node, "once", rows)
    assert (answer["accepted"], answer["duplicates"]) == (40_000, 10_000)
    node.stop()


ENDPOINTS = """
CREATE STREAM a (k BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL 1 MINUTE);
CREATE STREAM b (k BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL 1 MINUTE);
CREATE STREAM c (k BIGINT);
CREATE VIEW plain_a AS SELECT * FROM a;
CREATE MATERIALIZED VIEW by_a AS SELECT k, count(*) AS n FROM plain_a GROUP BY k;
CREATE MATERIALIZED VIEW joined AS SELECT by_a.k, n FROM by_a JOIN b ON by_a.k = b.k;
CREATE MATERIALIZED VIEW by_c AS SELECT k, count(*) AS n FROM c GROUP BY k;
CREATE ENDPOINT of_a ON GET '/a/{k}' (k BIGINT) AS SELECT n FROM by_a WHERE k = $k;
CREATE ENDPOINT of_b ON GET '/b' () AS SELECT count(*) AS n FROM b;
CREATE ENDPOINT of_both ON GET '/both' () AS SELECT * FROM joined ORDER BY k;
CREATE ENDPOINT of_c ON GET '/c' () AS SELECT * FROM by_c;
"""


def test_the_data_timestamp_is_that_of_the_streams_behind_the_endpoint(make_node):
    node = make_node(ENDPOINTS)
    node.start()

    def timestamp(path):
        return node.request("GET", path)[1].get("X-Data-Timestamp")

    assert [timestamp(path) for path in ("/a/1", "/b", "/both", "/c")] == [None] * 4
    node.send("a", ['{"k": 1, "ts": "2024-05-01T12:00:00"}'], query="?wait=visible")
    node.send("b", ['{"k": 1, "ts": "2020-01-01T00:00:00"}'], query="?wait=visible")
    node.send("c", ['{"k": 1}'], query="?wait=visible")
    assert timestamp("/a/1") == "2024-05-01T11:59:00.000000Z"
    assert timestamp("/b") == "2019-12-31T23:59:00.000000Z"
    assert timestamp("/both") == "2019-12-31T23:59:00.000000Z"  # the least of both
    assert timestamp("/c") is None
    node.stop()


def test_a_row_behind_an_open_transaction_is_not_called_visible(make_node):
    from confluent_kafka import Producer
    node = make_node("CREATE STREAM s (id BIGINT); CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM s;")
    node.start()
    client = Producer({"bootstrap.servers": node.kafka, "transactional.id": "t"})
    client.init_transactions(30)
    client.begin_transaction()
    client.produce("s", '{"id": 1}')
    assert client.flush(30) == 0
    answer = node.send("s", ['{"id": 2}'], query="?wait=visible&timeout=500ms")
    assert answer["visible"] is False and "open Kafka transaction" in answer["reason"], answer
    assert node.sql("SELECT n FROM n") in ([], [[0]])
    client.abort_transaction(30)
    answer = node.send("s", ['{"id": 3}'], query="?wait=visible&timeout=30s")
    assert answer["visible"] is True and "reason" not in answer
    assert node.sql("SELECT n FROM n") == [[2]]
    books = node.books("s")
    assert (books["records"], books["rows"], books["aborted"], books["in flight"]) == (3, 2, 1, 0), books
    node.stop()
