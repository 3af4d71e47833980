"""millrace plan: what would change and what it costs, asked of the node that holds the directory, or looked up without touching it."""
import hashlib
import json
import os
import pathlib
import re

import pytest

from node import ROOT, SHOP, Refused, millrace

STREAM = "CREATE STREAM s (k BIGINT, v BIGINT);"
VIEW = "CREATE MATERIALIZED VIEW v AS SELECT k, sum(v) AS total FROM s GROUP BY k;"
PLAIN = "CREATE VIEW positive AS SELECT * FROM s WHERE v > 0;"
OVER_PLAIN = "CREATE MATERIALIZED VIEW w AS SELECT count(*) AS n FROM positive;"


def listing(directory):
    """Every file and folder with size, time of change and digest."""
    found = {}
    for path in sorted(pathlib.Path(directory).rglob("*")):
        info = path.stat()
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        found[str(path.relative_to(directory))] = (info.st_size if path.is_file() else 0, info.st_mtime_ns, info.st_mode, digest)
    info = os.stat(directory)
    found["."] = (0, info.st_mtime_ns, info.st_mode, "")
    return found


def write(project, *statements):
    (pathlib.Path(project) / "project.sql").write_text("\n".join(statements))


def plan(node, *flags):
    done = millrace("plan", node.project, "--data", node.data, *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout


def filled(make_node, *statements, rows=100):
    node = make_node("\n".join(statements))
    node.start()
    node.send("s", [json.dumps({"k": i % 7, "v": i}) for i in range(rows)], query="?wait=visible")
    return node


def check_changes(node):
    """The same, whether a node runs or not."""
    write(node.project, STREAM, VIEW)
    assert "nothing to change" in plan(node)
    write(node.project, STREAM, VIEW, PLAIN, OVER_PLAIN)
    text = plan(node)
    assert "+ view positive\n" in text
    assert re.search(r"\+ view w  \[reads 100 rows, [\d.]+ k?B\]\n", text), text
    write(node.project, STREAM, VIEW.replace("sum(v)", "max(v)"))
    assert re.search(r"~ view v  \(definition changed: .*\)  \[reads 100 rows, [\d.]+ k?B\]\n", plan(node)), plan(node)
    write(node.project, STREAM)
    assert re.search(r"- view v  \(no longer in the project\)  \[7 rows, [\d.]+ k?B of content, which can be built again\]\n", plan(node)), plan(node)
    write(node.project, "CREATE STREAM other (k BIGINT);")
    text = plan(node)
    assert re.search(r"- stream s  \(no longer in the project\)  \[loses 100 rows, [\d.]+ k?B: needs --allow-drop s\]\n", text), text
    assert f"what loses data needs leave: millrace run {node.project} --allow-drop s\n" in text
    write(node.project, STREAM, "CREATE MATERIALIZED VIEW v AS SELECT kk FROM s;")
    done = millrace("plan", node.project, "--data", node.data)
    assert done.returncode == 1
    assert "project.sql:2:" in done.stderr and "^" in done.stderr, done.stderr
    write(node.project, STREAM, VIEW)


def test_a_running_node_is_asked(make_node):
    node = filled(make_node, STREAM, VIEW)
    step = node.sql("SELECT max(last_change_step) FROM millrace.views")
    check_changes(node)
    assert node.sql("SELECT name FROM millrace.streams") == [["s"]]
    assert node.sql("SELECT max(last_change_step) FROM millrace.views") == step
    node.stop()


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_directory_that_nobody_holds_is_only_looked_at(make_node, end):
    node = filled(make_node, STREAM, VIEW)
    if end == "stop":
        node.stop()
    else:
        node.wait_for_flush()
        node.kill()
    before = listing(node.data)
    assert before
    check_changes(node)
    assert listing(node.data) == before
    # What was only looked at still starts, with everything in it.
    node.start()
    assert node.sql("SELECT count(*) FROM s") == [[100]]
    assert node.difference("v") == 0
    node.stop()


def test_a_directory_that_may_not_be_written_can_be_looked_at(make_node):
    node = filled(make_node, STREAM, VIEW)
    node.stop()
    for path in [pathlib.Path(node.data), *pathlib.Path(node.data).rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = listing(node.data)
    assert "nothing to change" in plan(node)
    assert listing(node.data) == before
    for path in [pathlib.Path(node.data), *pathlib.Path(node.data).rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def test_steps_that_no_flush_has_yet_are_named(make_node):
    node = filled(make_node, STREAM, VIEW)
    node.wait_for_flush()
    node.send("s", ['{"k": 1, "v": 1}'], query="?wait=visible")
    node.kill()  # most likely before the next flush
    before = listing(node.data)
    text = plan(node)
    assert "nothing to change" in text
    assert "note: rows are counted as of step" in text or "note" not in text
    assert listing(node.data) == before


def test_no_directory_is_planned_against_as_empty_and_not_made(tmp_path):
    project = tmp_path / "project"
    project.mkdir()
    write(project, STREAM, VIEW)
    done = millrace("plan", project, "--data", tmp_path / "none")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "  + stream s\n  + view v\n"
    assert not (tmp_path / "none").exists()
    (tmp_path / "empty").mkdir()
    assert millrace("plan", project, "--data", tmp_path / "empty").stdout == "  + stream s\n  + view v\n"
    assert list((tmp_path / "empty").iterdir()) == []
    assert not (project / ".millrace").exists()


def test_a_holder_without_address_is_named(make_node):
    node = filled(make_node, STREAM, VIEW)
    address = pathlib.Path(node.data) / "address"
    noted = address.read_text()
    address.unlink()
    done = millrace("plan", node.project, "--data", node.data)
    assert done.returncode == 1
    assert f"held by another millrace (process {node.process.pid})" in done.stderr
    address.write_text("127.0.0.1:1")
    done = millrace("plan", node.project, "--data", node.data)
    assert done.returncode == 1 and "127.0.0.1:1" in done.stderr, done.stderr
    other = make_node(STREAM)
    other.start()
    address.write_text(other.url.removeprefix("http://"))
    done = millrace("plan", node.project, "--data", node.data)
    assert done.returncode == 1 and "another node answers" in done.stderr, (done.stdout, done.stderr)
    other.stop()
    address.write_text(noted)
    node.stop()
    assert not address.exists()  # nobody is there any more


def test_the_shop_can_be_planned_while_it_runs(make_node):
    node = make_node(SHOP)
    node.start()
    done = millrace("plan", "examples/shop", "--data", node.data, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("examples/shop: nothing to change\n") and "+" not in done.stdout, done.stdout
    node.stop()


def test_the_route_says_what_is_wrong(make_node):
    node = filled(make_node, STREAM, VIEW)
    with pytest.raises(Refused) as refused:
        node.request("POST", "/v1/project/plan", b'{"files": [{"path": "a.sql", "text": "SELECT 1"}]}', {"Content-Type": "application/json"})
    assert refused.value.status == 400 and "definitions only" in refused.value.body
    body = json.dumps({"files": [{"path": "a.sql", "text": STREAM}]}).encode()
    answer = json.loads(node.request("POST", "/v1/project/plan", body, {"Content-Type": "application/json"})[2])
    assert [(item["what"], item["kind"], item["name"], item["rows_lost"]) for item in answer["items"]] == [("drop", "view", "v", 7)]
    node.stop()


def test_a_change_of_a_stream_loses_its_rows_only_where_that_is_allowed(make_node):
    node = filled(make_node, STREAM, VIEW)
    node.stop()
    for changed in STREAM.replace(");", ") PARTITION BY (k);"), STREAM.replace("v BIGINT", "v INTEGER"):
        write(node.project, changed, VIEW)
        text = plan(node)
        assert re.search(r"- stream s  \(definition changed: .*\)  \[loses 100 rows, .*: needs --allow-drop s\]\n", text), text
        assert "~ view v  (stands on stream \"s\", which changes)\n" in text, text
        done = millrace("run", node.project, "--data", node.data, "--http", "127.0.0.1:0")
        assert done.returncode == 1 and "would lose its data (100 rows)" in done.stderr and "--allow-drop s" in done.stderr, done
    write(node.project, STREAM, VIEW)
    node.start()
    assert node.sql("SELECT (SELECT count(*) FROM s), (SELECT sum(total)::BIGINT FROM v)") == [[100, 4950]]
    node.stop()
    write(node.project, changed, VIEW)
    node.flags = ("--allow-drop", "s")
    node.start()
    assert node.sql("SELECT (SELECT count(*) FROM s), (SELECT count(*) FROM v)") == [[0, 0]]
    node.send("s", ['{"k": 1, "v": 5}'], query="?wait=visible")
    assert node.sql("FROM v") == [[1, 5]]
    node.stop()


def test_options_checks_and_comments_change_a_stream_under_its_rows(make_node):
    node = filled(make_node, STREAM, VIEW)
    changed = STREAM.replace("k BIGINT", "k BIGINT CHECK (k >= 0)").replace(");", ") WITH (on_invalid = 'reject');")
    comment = "COMMENT ON STREAM s IS 'pairs'; COMMENT ON COLUMN v.total IS 'of all';"
    write(node.project, changed, VIEW, comment)
    text = plan(node)
    assert re.search(r"~ stream s  \(definition changed: its CHECKs changed\)\n", text), text
    assert "~ view v  (its comments changed)\n" in text, text
    assert "allow-drop" not in text
    for end in node.stop, node.kill:
        end()
        node.start()
        assert "nothing to change" in plan(node)
        assert node.sql("SELECT (SELECT count(*) FROM s), (SELECT sum(total)::BIGINT FROM v)") == [[100, 4950]]
        assert node.sql("SELECT on_invalid, comment FROM millrace.streams") == [["reject", "pairs"]]
        assert node.sql("SELECT comment FROM millrace.columns WHERE relation = 'v' ORDER BY position") == [[None], ["of all"]]
    with pytest.raises(Refused):
        node.send("s", ['{"k": -1, "v": 5}'])
    write(node.project, changed, VIEW)
    assert plan(node).count("its comments changed") == 2
    write(node.project, changed, VIEW, "COMMENT ON STREAM t IS 'x';")
    done = millrace("plan", node.project, "--data", node.data)
    assert done.returncode == 1 and "project.sql:3:1" in done.stderr and "declares no stream of this name" in done.stderr, done.stderr
    node.stop()


def test_types_and_macros_of_a_project(make_node):
    macro = "CREATE MACRO grown(x, more := 1) AS x + more;"
    kind = "CREATE TYPE kind AS ENUM ('odd', 'even');"
    view = "CREATE MATERIALIZED VIEW w AS SELECT grown(k) AS k, CASE v % 2 WHEN 0 THEN 'even' ELSE 'odd' END::kind AS kind FROM s;"
    table = "CREATE TABLE t (kind kind PRIMARY KEY, n BIGINT CHECK (grown(n) > 0));"
    node = filled(make_node, view, table, STREAM, macro, kind)
    assert node.sql("SELECT kind, sum(k)::BIGINT FROM w GROUP BY kind ORDER BY kind") == [["odd", 198], ["even", 197]]
    node.sql("INSERT INTO t VALUES ('even', 0)")
    write(node.project, view, table, STREAM, "CREATE MACRO grown(x, more := 1) AS x + more * 10;", kind)
    text = plan(node)
    assert "~ macro grown  (definition changed: its body changed)\n" in text, text
    assert "~ table t  (stands on macro \"grown\", which changes)\n" in text, text
    assert re.search(r"~ view w  .*\[reads 100 rows", text), text
    for end in node.stop, node.kill:
        end()
        node.start()
        assert "nothing to change" in plan(node)
        assert node.sql("SELECT min(k), max(k) FROM w") == [[10, 16]]
        assert node.sql("FROM t") == [["even", 0]]
    node.sql("UPDATE t SET n = -9")
    write(node.project, view, table, STREAM, kind)
    done = millrace("plan", node.project, "--data", node.data)
    assert done.returncode == 1 and "function grown() does not exist" in done.stderr, done.stderr
    node.stop()
