"""Queries over a stream of several parts (128 Ki records each), which DuckDB's threads read at once."""
import json

ROWS = 500_000


def test_rows_keep_their_order_and_none_is_missed(make_node):
    node = make_node("CREATE STREAM s (id BIGINT NOT NULL, name VARCHAR) INTO 2 PARTITIONS;\n", "--workers", "2", "--column-cache", "off")
    node.start()
    bad = set()
    for begin in range(0, ROWS, 50_000):
        lines = [json.dumps({"id": i, "name": f"n{i % 7}"}) for i in range(begin, begin + 50_000)]
        for i in range(begin + 13, begin + 50_000, 9973):  # these are in the quarantine
            lines[i - begin] = json.dumps({"id": None, "name": "bad"})
            bad.add(i)
        node.send("s", lines)
    node.wait_for_records("s", ROWS)
    good = ROWS - len(bad)
    total = sum(range(ROWS)) - sum(bad)
    for _ in range(2):
        assert node.sql("SELECT count(*), sum(id)::BIGINT, count(DISTINCT id) FROM s") == [[good, total, good]]
        assert node.sql("SELECT name, count(*) FROM s GROUP BY 1 ORDER BY 1") == [[f"n{k}", sum(1 for i in range(k, ROWS, 7) if i not in bad)] for k in range(7)]
        places = [tuple(row) for row in node.sql("SELECT _partition, _offset FROM s WHERE id % 3 = 0")]
        assert places == sorted(places) and len(places) == sum(1 for i in range(0, ROWS, 3) if i not in bad)
        assert node.sql("SELECT _partition, _offset FROM s LIMIT 3 OFFSET 200000") == node.sql("SELECT _partition, _offset FROM s ORDER BY ALL LIMIT 3 OFFSET 200000")
        assert node.sql("SELECT count(*) FROM s a JOIN s b USING (id)") == [[good]]
        node.kill()
        node.start()
    node.stop()
