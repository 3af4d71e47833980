"""millrace trace: one record's way."""
import json

import pytest

from node import Refused

STREAMS = """
CREATE STREAM clicks (id BIGINT NOT NULL, name VARCHAR, ts TIMESTAMP, DEDUPLICATE ON (id)) PARTITION BY (id) INTO 2 PARTITIONS;
CREATE STREAM kept (id BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL 1 MINUTE);
CREATE STREAM strict (id BIGINT, ts TIMESTAMP, WATERMARK FOR ts AS ts - INTERVAL 1 MINUTE) WITH (late = 'divert');
CREATE STREAM lonely (id BIGINT);
CREATE VIEW named AS SELECT * FROM clicks WHERE name IS NOT NULL;
CREATE MATERIALIZED VIEW by_name AS SELECT name, count(*) AS n FROM named GROUP BY name;
CREATE MATERIALIZED VIEW total AS SELECT sum(n) AS n FROM by_name;
"""


def row(id, name, at="2024-05-01T12:00:00"):
    return json.dumps({"id": id, "name": name, "ts": at})


@pytest.fixture
def node(make_node):
    node = make_node(STREAMS)
    node.start()
    yield node
    node.stop()


def trace(node, record):
    done = node.cli("trace", record)
    assert done.returncode == 0, done.stderr
    return done.stdout


def places(node, stream):
    """(partition, offset) by id."""
    return {id: (partition, offset) for partition, offset, id in node.sql(f"SELECT _partition, _offset, id FROM {stream}")}


def test_a_row_and_a_duplicate_of_it(node):
    node.send("clicks", [row(1, "one"), row(2, "two")], query="?wait=visible")
    node.send("clicks", [row(1, "uno")], query="?wait=visible")
    partition, offset = places(node, "clicks")[1]
    text = trace(node, f"clicks/{partition}/{offset}")
    for line in ["outcome    row\n", "columns    id = 1\n", "name = one\n", "ts = 2024-05-01T12:00:00\n", "passed by  by_name, total\n",
                 "durable, in topic clicks"]:
        assert line in text, text
    answer = node.get(f"/v1/trace/clicks/{partition}/{offset}")
    assert answer["row"] == {"id": 1, "name": "one", "ts": "2024-05-01T12:00:00"}
    assert 0 < answer["step"] <= answer["visible_step"]
    end = answer["log"]["end_offset"]
    text = trace(node, f"clicks/{partition}/{end - 1}")
    assert f"outcome    duplicate of clicks/{partition}/{offset}\n" in text, text
    later = node.get(f"/v1/trace/clicks/{partition}/{end - 1}")
    assert later["step"] > answer["step"] and later["row"]["name"] == "uno"


def test_an_invalid_record_has_its_reason(node):
    node.send("clicks", ['{"id": "x", "name": "bad"}', "no json"], query="?wait=visible")
    found = node.sql("SELECT _partition, _offset, _error FROM clicks.quarantine ORDER BY _offset")
    assert len(found) == 2
    for partition, offset, error in found:
        text = trace(node, f"clicks/{partition}/{offset}")
        assert "outcome    invalid: in clicks.quarantine\n" in text
        assert f"reason     {error}\n" in text and "source     http\n" in text, text
    assert 'in column  id\n' in trace(node, f"clicks/{found[0][0]}/{found[0][1]}")


def test_late_rows_are_named_as_kept_or_diverted(node):
    for stream in "kept", "strict":
        node.send(stream, ['{"id": 1, "ts": "2024-05-01T12:00:00"}'], query="?wait=visible")
        node.send(stream, ['{"id": 2, "ts": "2024-05-01T11:00:00"}'], query="?wait=visible")
    assert "outcome    row\n" in trace(node, "kept/0/0")
    assert "outcome    late, kept\n" in trace(node, "kept/0/1")
    text = trace(node, "strict/0/1")
    assert "outcome    late, diverted: in strict.late\n" in text and "columns    id = 2\n" in text, text


def test_a_stream_that_nobody_reads(node):
    node.send("lonely", ['{"id": 1}'], query="?wait=visible")
    assert "views      none reads the stream\n" in trace(node, "lonely/0/0")


def test_what_is_not_there(node):
    node.send("clicks", [row(1, "one")], query="?wait=visible")
    for record, status, expected in [
            ("click/0/0", 404, 'did you mean "clicks"?'),
            ("by_name/0/0", 400, "is a view, not a stream"),
            ("clicks/2/0", 400, "its partitions are 0 to 1"),
            ("lonely/1/0", 400, "it has one partition, 0"),
            ("clicks/0/99", 404, "the partition ends before offset")]:
        done = node.cli("trace", record)
        assert done.returncode == 1 and expected in done.stderr, (record, done.stderr)
        with pytest.raises(Refused) as refused:
            node.get("/v1/trace/" + record)
        assert refused.value.status == status
    done = node.cli("trace", "clicks/0")
    assert done.returncode == 1 and "STREAM/PARTITION/OFFSET" in done.stderr


def test_json(node):
    node.send("lonely", ['{"id": 12345678901}'], query="?wait=visible")
    done = node.cli("trace", "lonely/0/0", "-f", "json")
    assert json.loads(done.stdout)["row"] == {"id": 12345678901}


def test_a_trace_after_a_restart(node):
    node.send("clicks", [row(i, "n") for i in range(20)], query="?wait=visible")
    before = {id: node.get("/v1/trace/clicks/%d/%d" % place) for id, place in places(node, "clicks").items()}
    node.kill()
    node.start()
    for id, place in places(node, "clicks").items():
        after = node.get("/v1/trace/clicks/%d/%d" % place)
        assert (after["step"], after["outcome"], after["row"]) == (before[id]["step"], "row", before[id]["row"])
