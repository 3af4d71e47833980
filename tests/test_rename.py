"""A renamed stream is the same stream: its books, its keys and its rows go on under the new name, whatever ends the process."""
import pytest

from node import Refused

STREAM = "CREATE STREAM clicks (id BIGINT);"


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_producers_go_on_under_the_new_name(make_node, end):
    node = make_node("CREATE VIEW nothing AS SELECT 1 AS one;")
    node.start()
    node.sql(STREAM)
    first = node.send("clicks", ['{"id": 1}', '{"id": 2}', '{"id": "x"}'], key="k", query="?wait=visible")
    assert (first["accepted"], first["quarantined"]) == (2, 1)
    node.sql("ALTER STREAM clicks RENAME TO visits")
    getattr(node, end)()
    node.start()
    with pytest.raises(Refused) as refused:
        node.send("clicks", ['{"id": 3}'])
    assert refused.value.status == 404
    again = node.send("visits", ['{"id": 1}', '{"id": 2}', '{"id": "x"}'], key="k")
    assert again["repeated"] and again["accepted"] == 2
    node.send("visits", ['{"id": 3}'], key="l", query="?wait=visible")
    assert node.sql("SELECT count(*) FROM visits") == [[3]]
    assert node.sql("SELECT count(*) FROM visits.quarantine") == [[1]]
    books = node.books("visits")
    assert (books["records"], books["rows"], books["invalid"], books["recovered"]) == (4, 3, 1, 0)
    # The old name is another stream's from now on, with books of its own.
    node.sql(STREAM)
    node.send("clicks", ['{"id": 9}'], key="k", query="?wait=visible")
    assert node.sql("SELECT (SELECT count(*) FROM clicks), (SELECT count(*) FROM visits)") == [[1, 3]]
    assert node.books("clicks")["records"] == 1
    getattr(node, end)()
    node.start()
    assert node.sql("SELECT (SELECT count(*) FROM clicks), (SELECT count(*) FROM visits)") == [[1, 3]]
    assert node.metric("millrace_books_balanced") == 1
    node.sql("DROP STREAM clicks")
    assert node.books("visits")["records"] == 4
    node.stop()


def test_a_renamed_endpoint_answers_and_takes_types_and_macros(make_node):
    node = make_node("""
        CREATE TYPE kind AS ENUM ('odd', 'even');
        CREATE MACRO half(x) AS x // 2;
        CREATE TABLE t (kind kind PRIMARY KEY, n BIGINT);
        CREATE ENDPOINT kinds ON GET '/kinds/{kind}' (kind kind) AS SELECT half(n) AS half FROM t WHERE kind = $kind;""")
    node.start()
    node.sql("INSERT INTO t VALUES ('odd', 7), ('even', 8)")
    assert node.get("/kinds/odd") == [{"half": 3}]
    node.sql("ALTER ENDPOINT kinds RENAME TO halves")
    assert node.get("/kinds/even") == [{"half": 4}]
    with pytest.raises(Refused) as refused:
        node.request("GET", "/kinds/none")
    assert refused.value.status == 400 and "kind" in refused.value.body
    assert node.sql("SELECT name FROM millrace.endpoints") == [["halves"]]
    with pytest.raises(Refused) as refused:
        node.sql("DROP MACRO half")
    assert "halves" in refused.value.body
    node.stop()
