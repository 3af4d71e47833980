"""Models: scores in queries, views and endpoints, over the Open Inference Protocol, over crashes, backups and changes of files."""
import json
import math
import random
import shutil
import socket
import subprocess
import threading
import time

import pytest

import onnx_models as onnx
from node import BINARY, ROOT, Node, Refused, millrace
from pg_node import dsn

CHURN = ROOT / "examples" / "churn"
WEIGHTS, BIAS = [0.5, -0.25, 2.0], 0.125  # exact in floats

SQL = """
CREATE TABLE points (id BIGINT PRIMARY KEY, a DOUBLE, b DOUBLE, c DOUBLE);
CREATE STREAM readings (id BIGINT NOT NULL, a DOUBLE, b DOUBLE, c DOUBLE);
CREATE MODEL line FROM 'models/line.onnx';
CREATE MODEL odds FROM 'models/odds.onnx';
CREATE MATERIALIZED VIEW scored AS SELECT id, predict(line, a, b, c) AS score FROM points;
CREATE MATERIALIZED VIEW classes AS SELECT predict(odds, a, b, c).label AS label, count(*) AS n, max(predict(line, [a, b, c])) AS best
                                    FROM readings GROUP BY 1;
CREATE VIEW plain AS SELECT id, predict(odds, a, b, c).probabilities[2] AS p FROM points;
CREATE MACRO risky(x, y, z) AS predict(odds, x, y, z).label = 1;
CREATE MATERIALIZED VIEW above AS SELECT count(*) FILTER (p > 0.5) AS by_view, count(*) FILTER (risky(a, b, c)) AS by_macro
                                  FROM plain JOIN points USING (id);
CREATE ENDPOINT score ON GET '/score' (a DOUBLE, b DOUBLE, c DOUBLE) AS SELECT predict(line, $a, $b, $c) AS score;
"""


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "models_project"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "line.onnx").write_bytes(onnx.linear(WEIGHTS, BIAS))
    (folder / "models" / "odds.onnx").write_bytes(onnx.logistic(WEIGHTS, BIAS))
    (folder / "project.sql").write_text(SQL)
    return folder


def line(row):
    return sum(w * x for w, x in zip(WEIGHTS, row)) + BIAS


def infer(node, model, inputs, **more):
    body = json.dumps({"inputs": inputs, **more}).encode()
    return json.loads(node.request("POST", f"/v2/models/{model}/infer", body, {"Content-Type": "application/json"})[2])


def refusal(call):
    with pytest.raises(Refused) as refused:
        call()
    return refused.value.status, json.loads(refused.value.body)["error"]


def message(node, sql):
    status, error = refusal(lambda: node.sql(sql))
    return error["message"] + " | " + error.get("hint", "")


def small(random_numbers):
    """Numbers that floats hold exactly, and so their sums."""
    return random_numbers.randrange(-400, 401) / 8


def test_queries_endpoints_and_views_score_and_take_back(make_node, project, seed):
    numbers = random.Random(seed)
    node = make_node(project)
    node.start()
    points = {i: [small(numbers) for _ in range(3)] for i in range(3000)}
    node.sql("INSERT INTO points VALUES " + ", ".join(f"({i}, {a}, {b}, {c})" for i, (a, b, c) in points.items()))
    for _ in range(10):  # some go, some change
        gone, changed = numbers.sample(sorted(points), 2)
        node.sql(f"DELETE FROM points WHERE id = {gone}")
        del points[gone]
        points[changed] = [small(numbers) for _ in range(3)]
        a, b, c = points[changed]
        node.sql(f"UPDATE points SET a = {a}, b = {b}, c = {c} WHERE id = {changed}")
    node.sql("UPDATE points SET a = NULL WHERE id % 100 = 7")
    expected = [[i, None if i % 100 == 7 else line(row)] for i, row in sorted(points.items())]
    assert node.sql("SELECT * FROM scored ORDER BY id") == expected
    assert node.difference("scored") == 0
    assert node.sql("SELECT id, predict(line, [a, b, c]) FROM points ORDER BY id") == expected
    for (i, p), row in zip(node.sql("SELECT * FROM plain WHERE p IS NOT NULL ORDER BY id"), [points[i] for i in sorted(points) if i % 100 != 7]):
        assert p == pytest.approx(onnx.logistic_probability(WEIGHTS, BIAS, row), abs=1e-5)
    assert node.difference("above") == 0
    (by_view, by_macro), = node.sql("SELECT * FROM above")
    assert by_view == by_macro == node.sql("SELECT count(*) FROM plain WHERE p > 0.5")[0][0] > 100
    assert node.get("/score?a=1&b=2&c=3") == [{"score": line([1, 2, 3])}]
    readings = [[small(numbers) for _ in range(3)] for _ in range(5000)]
    node.send("readings", [json.dumps({"id": i, "a": a, "b": b, "c": c}) for i, (a, b, c) in enumerate(readings)], query="?wait=visible")
    assert node.sql("SELECT sum(n), max(best) FROM classes") == [[5000, max(map(line, readings))]]
    assert node.difference("classes") == 0
    node.stop()


def test_sql_and_the_protocol_and_the_formula_agree(make_node, project, seed):
    numbers = random.Random(seed)
    trees = onnx.Trees(numbers, width=4, count=30, depth=6)
    (project / "models" / "trees.onnx").write_bytes(trees.bytes())
    node = make_node(project)
    node.start()
    node.sql("CREATE MODEL trees FROM 'models/trees.onnx'")
    for name, expected, width, output in [("trees", trees.score, 4, "y"), ("line", line, 3, "y")]:
        for count in [1, 2, 15, 16, 17, 300]:
            rows = [[small(numbers) for _ in range(width)] for _ in range(count)]
            want = [expected(row) for row in rows]
            answer = infer(node, name, [{"name": "x", "shape": [count, width], "datatype": "FP32", "data": rows}], id="7")
            assert answer["id"] == "7" and answer["model_name"] == name and answer["outputs"][0]["name"] == output
            assert answer["outputs"][0]["shape"] == [count, 1] and answer["outputs"][0]["data"] == want
            values = ", ".join(f"({i}, {row})" for i, row in enumerate(rows))
            assert [score for score, in node.sql(f"SELECT predict({name}, r) FROM (VALUES {values}) t(i, r) ORDER BY i")] == want
    node.stop()


def test_the_protocol(make_node, project):
    kinds = {"BOOL": (onnx.BOOL, [True, False]), "INT8": (onnx.INT8, [-128, 127]), "INT16": (onnx.INT16, [-32768, 1]),
             "INT32": (onnx.INT32, [-2147483648, 1]), "INT64": (onnx.INT64, [-9223372036854775808, 9007199254740993]),
             "UINT8": (onnx.UINT8, [0, 255]), "UINT16": (onnx.UINT16, [0, 65535]), "UINT32": (onnx.UINT32, [0, 4294967295]),
             "UINT64": (onnx.UINT64, [0, 18446744073709551615]), "FP16": (onnx.FLOAT16, [0.5, -2.0]), "FP32": (onnx.FLOAT, [0.1, "NaN"]),
             "FP64": (onnx.DOUBLE, [0.1, "-Infinity"]), "BYTES": (onnx.STRING, ["ä \" \\", ""])}
    for name, (kind, _) in kinds.items():
        (project / "models" / f"{name}.onnx").write_bytes(
            onnx.model([onnx.node("Identity", ["x"], ["y"])], [("x", kind, [None])], [("y", kind, [None])]))
    node = make_node(project)
    node.start()
    assert node.get("/v2")["name"] == "millrace" and node.get("/v2/health/live") == {"live": True} and node.get("/v2/health/ready") == {"ready": True}
    for name, (_, values) in kinds.items():
        node.sql(f"CREATE MODEL t_{name} FROM 'models/{name}.onnx'")
        got = infer(node, f"T_{name.lower()}", [{"name": "x", "shape": [2], "datatype": name, "data": values}])
        assert got["outputs"] == [{"name": "y", "datatype": name, "shape": [2], "data": values}]
    about = node.get("/v2/models/odds")
    assert about["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
    assert about["outputs"] == [{"name": "label", "datatype": "INT64", "shape": [-1]}, {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]}]
    version = about["versions"][0]
    assert node.get("/v2/models/odds/ready") == {"name": "odds", "ready": True}
    assert node.get(f"/v2/models/odds/versions/{version}")["name"] == "odds"
    row = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}
    assert [output["name"] for output in infer(node, "odds", [row], outputs=[{"name": "probabilities"}])["outputs"]] == ["probabilities"]
    assert infer(node, f"odds/versions/{version}", [row])["model_version"] == version

    def wrong(model="line", **changed):
        return refusal(lambda: infer(node, model, [{**row, **changed}]))
    assert wrong("lime") == (404, 'model "lime" does not exist (did you mean "line"?)')
    assert wrong("line/versions/1")[0] == 404
    for changed, says in [({"name": "y"}, 'the model has no input "y"'), ({"shape": [1, 4]}, "its shape is [1,4] (it is FP32[-1,3])"),
                          ({"shape": [2, 3]}, "it has 3 elements, and its shape [2,3] asks for 6"), ({"datatype": "FP64"}, "its datatype is FP64"),
                          ({"data": [1, 2, "x"]}, '"x" is no FP32'), ({"data": None}, "it has no data"), ({"shape": [-1, 3]}, "not a list of sizes"),
                          ({"shape": [2147483647, 3]}, "asks for")]:
        status, text = wrong(**changed)
        assert status == 400 and says in text, (changed, text)
    assert "it is missing" in refusal(lambda: infer(node, "line", []))[1]
    assert "it stands twice" in refusal(lambda: infer(node, "line", [row, row]))[1]
    assert "300 is no INT8" in refusal(lambda: infer(node, "t_INT8", [{"name": "x", "shape": [1], "datatype": "INT8", "data": [300]}]))[1]
    assert refusal(lambda: node.request("POST", "/v2/models/line/infer", b"{"))[0] == 400
    large = subprocess.run(["curl", "-s", f"{node.url}/v2/models/line/infer", "--data-binary", "@-"], input=b" " * (17 << 20), capture_output=True)
    assert "16777216" in json.loads(large.stdout)["error"]
    paths = node.get("/openapi.json")["paths"]
    assert "post" in paths["/v2/models/line/infer"] and "get" in paths["/v2/models/line"]
    assert 'route="/v2/models/{model}/infer"' in node.request("GET", "/metrics")[2].decode()
    node.stop()


def test_a_token_reads_the_models_that_it_names(make_node, project):
    node = make_node(project)
    node.start()
    made = millrace("token", "create", "--scope", "read:line", "--data", node.data)
    assert made.returncode == 0, made.stderr
    token = next(word for word in made.stdout.split() if word.startswith("mr_"))
    node.stop()
    node.start()
    headers = {"Authorization": f"Bearer {token}"}
    assert node.get("/v2/health/ready") == {"ready": True}
    assert node.get("/v2/models/LINE", headers=headers)["name"] == "line"
    assert refusal(lambda: node.get("/v2/models/odds", headers=headers))[0] == 403
    assert refusal(lambda: node.get("/v2/models/line"))[0] == 401
    node.stop()


def test_what_cannot_be_scored_is_refused_with_the_way_out(make_node, project, tmp_path):
    models = project / "models"
    (models / "text.onnx").write_text("no model")
    (models / "cut.onnx").write_bytes(onnx.linear(WEIGHTS, BIAS)[:-40])
    one = ("x", onnx.FLOAT, [None]), ("y", onnx.FLOAT, [None])
    (models / "random.onnx").write_bytes(onnx.model([onnx.node("RandomNormalLike", ["x"], ["y"])], one[:1], one[1:]))
    (models / "unknown.onnx").write_bytes(onnx.model([onnx.node("Frobnicate", ["x"], ["y"])], one[:1], one[1:]))
    (models / "gather.onnx").write_bytes(onnx.model([onnx.node("Gather", ["t", "x"], ["y"])], [("x", onnx.INT64, [None])], one[1:],
                                                    [onnx.float_tensor("t", [3], [1, 2, 4])]))
    (tmp_path / "outside.onnx").write_bytes(onnx.linear(WEIGHTS, BIAS))
    with open(models / "large.onnx", "wb") as large:
        large.truncate((1 << 30) + 1)
    (models / "link.onnx").symlink_to(tmp_path / "outside.onnx")
    node = make_node(project)
    node.start()
    for path, says in [("models/none.onnx", "it does not exist"), ("models", "it is a folder"), ("models/text.onnx", "no ONNX model"),
                       ("models/cut.onnx", "no ONNX model"), ("models/random.onnx", "RandomNormalLike draws random numbers"),
                       ("models/unknown.onnx", "Frobnicate"), ("models/large.onnx", "it has 1073741825 bytes; at most 1073741824 are taken"), ("models/link.onnx", "outside of the folders"), ("/etc/passwd", "outside of the folders"),
                       ("../outside.onnx", "outside of the folders")]:
        text = message(node, f"CREATE MODEL bad FROM '{path}'")
        assert says in text and path in text and text.startswith("CREATE MODEL bad: "), text
    assert "exists already" in message(node, "CREATE MODEL line FROM 'models/odds.onnx'")
    assert 'model "odd" does not exist | did you mean "odds"?' in message(node, "SELECT predict(odd, 1, 2, 3)")
    assert "takes 3 values, got 2" in message(node, "CREATE MATERIALIZED VIEW v AS SELECT predict(line, a, b) AS s FROM points")
    # What fails while it runs: of a query the statement, of a view the row, as its on_error says.
    node.sql("CREATE MODEL pick FROM 'models/gather.onnx'")
    assert node.sql("SELECT predict(pick, i) FROM range(3) t(i)") == [[1], [2], [4]]
    assert "predict(pick)" in message(node, "SELECT predict(pick, 3)")
    node.sql("CREATE MATERIALIZED VIEW picked AS SELECT id, predict(pick, id) AS w FROM readings")
    node.sql("CREATE MATERIALIZED VIEW strict WITH (on_error = 'stop') AS SELECT id, predict(pick, id) AS w FROM readings")
    node.send("readings", [json.dumps({"id": i}) for i in [0, 9, 2, 1]], query="?wait=visible")
    assert node.sql("SELECT id, w FROM picked ORDER BY id") == [[0, 1], [1, 2], [2, 4]]
    assert node.sql("SELECT status FROM millrace.views WHERE name = 'strict'") == [["failed"]]
    node.stop()


def test_replaced_and_dropped_models(make_node, project):
    node = make_node(project)
    node.start()
    node.sql("INSERT INTO points VALUES (1, 2, 0, 0), (2, 4, 0, 0)")
    assert node.sql("SELECT score FROM scored ORDER BY id") == [[1.125], [2.125]]
    (project / "models" / "line.onnx").write_bytes(onnx.linear([3.0, 0.0, 0.0], 0.0))
    node.sql("INSERT INTO points VALUES (3, 6, 0, 0)")  # the file has changed, the model has not
    assert node.sql("SELECT score FROM scored ORDER BY id") == [[1.125], [2.125], [3.125]]
    node.sql("CREATE OR REPLACE MODEL line FROM 'models/line.onnx'")
    assert node.sql("SELECT score FROM scored ORDER BY id") == [[6], [12], [18]]
    assert node.get("/score?a=1&b=2&c=3") == [{"score": 3}]
    text = message(node, "DROP MODEL odds")
    assert "is needed by" in text and all(name in text for name in ["classes", "plain", "risky", "above"])
    node.sql("COMMENT ON MODEL odds IS 'which side'")
    assert node.sql("SELECT name, path, bytes > 0, inputs, outputs, error, comment FROM millrace.models WHERE name = 'odds'") == [
        ["odds", "models/odds.onnx", True, "x FP32[-1,3]", "label INT64[-1], probabilities FP32[-1,2]", None, "which side"]]
    assert len(node.sql("SHOW MODELS")) == 2
    node.sql("CREATE TABLE checked (a DOUBLE PRIMARY KEY, CHECK (predict(line, a, 0, 0) > 0))")
    node.sql("INSERT INTO checked VALUES (1)")
    assert "CHECK" in message(node, "INSERT INTO checked VALUES (-1)")
    assert "holds data" in message(node, "CREATE OR REPLACE MODEL line FROM 'models/odds.onnx'")
    node.sql("DROP MODEL odds CASCADE")
    assert node.sql("SELECT name FROM millrace.views ORDER BY 1") == [["scored"]]
    node.sql("DROP MODEL IF EXISTS odds")
    node.stop()


def test_a_changed_file_is_a_change_of_the_project(make_node, project):
    node = make_node(project)
    node.start()
    node.sql("INSERT INTO points VALUES (1, 2, 0, 0)")

    def plan():
        done = millrace("plan", project, "--data", node.data)
        assert done.returncode == 0, done.stderr
        return done.stdout
    assert "nothing to change" in plan()
    (project / "models" / "line.onnx").write_bytes(onnx.linear([3.0, 0.0, 0.0], 0.0))
    for shown in [plan(), node.stop() or plan()]:  # asked of the node, and without one
        assert "~ model line  (definition changed: the content of its file changed)" in shown
        assert "~ view scored  (stands on model \"line\", which changes)" in shown and "odds" not in shown
    node.start()
    assert node.sql("SELECT score FROM scored") == [[6]]
    node.stop()
    assert len(list((node_data := project.parent / "data0" / "models").glob("*.onnx"))) == 3, node_data
    node.start()  # nothing names the old content any more
    assert len(list(node_data.glob("*.onnx"))) == 2
    node.stop()


def test_models_outlive_kills_their_files_and_the_node(make_node, project, tmp_path):
    node = make_node(project)
    node.start()
    node.sql("CREATE MODEL late FROM 'models/odds.onnx'")
    node.sql("INSERT INTO points SELECT i, i, i, i FROM range(2000) t(i)")
    before = node.sql("SELECT * FROM scored ORDER BY id")
    node.kill()
    node.start()
    assert node.sql("SELECT * FROM scored ORDER BY id") == before
    assert node.sql("SELECT predict(late, 1, 2, 3).label") == [[1]]
    node.sql("DELETE FROM points WHERE id >= 1000")
    assert node.sql("SELECT count(*) FROM scored") == [[1000]] and node.difference("scored") == 0
    done = node.cli("backup", tmp_path / "backups", "--quiet")
    assert done.returncode == 0, done.stderr
    done = millrace("restore", tmp_path / "backups", "--data", tmp_path / "restored", "--quiet")
    assert done.returncode == 0, done.stderr
    node.stop()
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(project, elsewhere)
    shutil.rmtree(elsewhere / "models")
    (elsewhere / "project.sql").write_text("CREATE VIEW nothing AS SELECT 1 AS one;")
    # The files are gone: a node that is not asked to look at them does without.
    copy = Node(elsewhere, tmp_path / "restored")
    copy_sql = subprocess.run([str(BINARY), "plan", str(elsewhere), "--data", str(tmp_path / "restored")], capture_output=True, text=True, timeout=60)
    assert copy_sql.returncode == 0, copy_sql.stderr
    copy.flags = ("--allow-drop", "points", "--allow-drop", "readings")
    copy.start()
    assert copy.sql("SELECT predict(late, 1, 2, 3).label") == [[1]]
    copy.stop()


def test_damaged_content_is_found(make_node, project):
    node = make_node(project)
    node.start()
    digest, = node.sql("SELECT digest FROM millrace.models WHERE name = 'line'")[0]
    node.stop()
    content = project.parent / "data0" / "models" / f"{digest}.onnx"
    good = content.read_bytes()
    content.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    found = millrace("verify", "--data", node.data, "--quiet")
    assert found.returncode == 1 and f"{digest}.onnx is damaged" in found.stdout + found.stderr
    started = subprocess.run([str(BINARY), "run", str(project), "--data", node.data, "--http", "127.0.0.1:0", "--kafka", "off", "--pg", "off"],
                             capture_output=True, text=True, timeout=60)
    assert started.returncode == 1 and "damaged" in started.stderr and 'model "line"' in started.stderr
    content.write_bytes(good)
    assert millrace("verify", "--data", node.data, "--quiet").returncode == 0


def test_over_the_postgres_protocol(make_node, project):
    import psycopg
    node = make_node(project)
    node.start()
    with psycopg.connect(dsn(node), autocommit=True) as client:
        assert client.execute("SELECT predict(line, %s, %s, %s)", (1.0, 2.0, 3.0)).fetchone() == (line([1, 2, 3]),)
        assert client.execute("SELECT predict(line, %s)", ([1.0, 2.0, 3.0],)).fetchone() == (line([1, 2, 3]),)
        assert [row[0] for row in client.execute("SHOW MODELS").fetchall()] == ["line", "odds"]
        client.execute("CREATE MODEL again FROM 'models/line.onnx'")
        client.execute("DROP MODEL again")
        with pytest.raises(psycopg.Error) as refused:
            client.execute("SELECT predict(none, 1)")
        assert refused.value.sqlstate == "42704"
    node.stop()


def test_a_run_ends_with_its_statement_and_its_client(make_node, project):
    import psycopg
    (project / "models" / "few.onnx").write_bytes(onnx.looping(1000))
    (project / "models" / "endless.onnx").write_bytes(onnx.looping(1 << 50))
    node = make_node(project)
    node.start()
    node.sql("CREATE MODEL few FROM 'models/few.onnx'; CREATE MODEL endless FROM 'models/endless.onnx'; CREATE TABLE t (a FLOAT PRIMARY KEY); INSERT INTO t VALUES (1)")
    assert node.sql("SELECT predict(few, a) FROM t") == [[1001]]
    asked = json.dumps({"inputs": [{"name": "x", "shape": [1, 1], "datatype": "FP32", "data": [1]}]})
    statements = ["SELECT predict(endless, a) FROM t", "SELECT predict(endless, 1)", "UPDATE t SET a = predict(endless, a)"]
    asks = [("/v1/sql", text, "application/sql") for text in statements] + [("/v2/models/endless/infer", asked, "application/json")]
    for path, body, content_type in asks:
        began = time.monotonic()
        with pytest.raises(Refused) as refused:
            node.request("POST", path + "?timeout=300ms", body.encode(), {"Content-Type": content_type})
        assert refused.value.status == 504 and "300 ms" in refused.value.body, refused.value.body
        assert time.monotonic() - began < 5
    with psycopg.connect(dsn(node), autocommit=True) as client:
        client.execute("SET statement_timeout = '300ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            client.execute("SELECT predict(endless, a) FROM t")
        client.execute("SET statement_timeout = 0")
        timer = threading.Timer(0.5, client.cancel)
        timer.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            client.execute("SELECT predict(endless, a) FROM t")
        timer.join()
    # Clients that go away: their runs end, or the pool's threads would stay taken.
    host, port = node.url.removeprefix("http://").rsplit(":", 1)
    for _ in range(8):
        with socket.create_connection((host, int(port))) as gone:
            gone.sendall(f"POST /v2/models/endless/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(asked)}\r\n\r\n{asked}".encode())
            time.sleep(0.1)
    assert node.sql("SELECT predict(few, a) FROM t", timeout=5) == [[1001]]
    node.stop()


def test_renamed_models(make_node, project):
    node = make_node(project)
    node.start()
    text = message(node, "ALTER MODEL odds RENAME TO chances")
    assert "is needed by" in text and all(name in text for name in ["classes", "plain", "risky", "above"])
    node.sql("CREATE MODEL spare FROM 'models/line.onnx'; COMMENT ON MODEL spare IS 'kept'")
    assert "line" in message(node, "ALTER MODEL spare RENAME TO line")
    node.sql("ALTER MODEL spare RENAME TO other")
    for _ in range(2):
        assert node.sql("SELECT predict(other, 1, 2, 3)") == [[line([1, 2, 3])]]
        assert node.sql("SELECT name, comment FROM millrace.models WHERE comment IS NOT NULL") == [["other", "kept"]]
        assert "does not exist" in message(node, "SELECT predict(spare, 1, 2, 3)")
        node.kill()
        node.start()
    assert node.get("/v2/models/other")["name"] == "other"
    node.sql("CREATE OR REPLACE MODEL other FROM 'models/odds.onnx'; ALTER MODEL other RENAME TO \"Spare Part\"")
    node.sql("CREATE VIEW uses AS SELECT predict(\"Spare Part\", 1, 2, 3) AS p")
    assert "is needed by view" in message(node, "ALTER MODEL \"Spare Part\" RENAME TO x")
    node.stop()


def test_without_onnx_runtime_all_else_works(make_node, project, monkeypatch):
    monkeypatch.setenv("MILLRACE_ONNXRUNTIME", "/nowhere/libonnxruntime.so")
    node = make_node("CREATE TABLE t (a INTEGER PRIMARY KEY);")
    shutil.copytree(project / "models", node.project + "/models")
    node.start()
    node.sql("INSERT INTO t VALUES (1)")
    text = message(node, "CREATE MODEL line FROM 'models/line.onnx'")
    assert "models need ONNX Runtime, which is not here: /nowhere/libonnxruntime.so" in text and "tools/setup.sh" in text
    assert node.sql("SELECT a FROM t") == [[1]]
    node.stop()


def test_the_example(make_node):
    assert (CHURN / "models" / "churn.onnx").read_bytes() == onnx.logistic(onnx.CHURN_WEIGHTS, onnx.CHURN_BIAS)
    node = make_node(CHURN)
    node.start()
    node.sql("INSERT INTO customers VALUES (1, 'Ada', 24, 6), (2, 'Bob', 2, 9)")
    node.send("complaints", [json.dumps({"customer_id": 2, "text": "late"})] * 3, query="?wait=visible")
    for customer, row in [(1, [24, 0, 6]), (2, [2, 3, 9])]:
        expected = onnx.logistic_probability(onnx.CHURN_WEIGHTS, onnx.CHURN_BIAS, row)
        answer = node.get(f"/customers/{customer}/risk")[0]
        assert math.isclose(answer["risk"], expected, rel_tol=1e-5) and answer["leaves"] == (expected > 0.5)
    node.stop()
