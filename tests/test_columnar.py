"""Results as Arrow and Parquet, read with pyarrow and with DuckDB's Python package."""
import concurrent.futures
import io
import json
import urllib.parse

import duckdb
import pyarrow.ipc
import pyarrow.parquet
import pytest

from node import Refused

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
PROJECT = """
CREATE STREAM numbers (n BIGINT NOT NULL, text VARCHAR);
CREATE MATERIALIZED VIEW sums AS SELECT n % 10 AS digit, count(*) AS rows, sum(n) AS total FROM numbers GROUP BY ALL;
CREATE ENDPOINT all_numbers ON GET '/numbers' (least BIGINT DEFAULT 0) AS SELECT n, text FROM numbers WHERE n >= $least ORDER BY n;
CREATE ENDPOINT digit ON GET '/sums/{digit}' (digit BIGINT) AS SELECT * FROM sums WHERE digit = $digit;
"""


def answer(node, sql, accept):
    status, headers, body = node.request("POST", "/v1/sql", sql.encode(), {"Content-Type": "application/sql", "Accept": accept})
    assert (status, headers["Content-Type"]) == (200, accept)
    return body


def table_of(body, accept):
    return pyarrow.ipc.open_stream(body).read_all() if accept == ARROW else pyarrow.parquet.read_table(io.BytesIO(body))


def shown(connection, relation, columns):
    """Each value in DuckDB's own words."""
    texts = ", ".join(f'"{column}"::VARCHAR' for column in columns)
    return connection.execute(f"SELECT {texts} FROM {relation}").fetchall()


@pytest.mark.parametrize("accept", [ARROW, PARQUET])
def test_every_type_at_its_edges_is_what_duckdb_reads(node, tmp_path, accept):
    source = "(SELECT * EXCLUDE (geometry, hugeint, uhugeint) FROM test_all_types())"
    body = answer(node, f"FROM {source}", accept)
    connection = duckdb.connect()
    if accept == ARROW:
        result = pyarrow.ipc.open_stream(body).read_all()
        result.drop_columns(["time", "time_ns"]).validate(full=True)  # 24:00, which SQL has, is beyond Arrow's bounds
        connection.register("result", result)
        relation = "result"
    else:
        (tmp_path / "all.parquet").write_bytes(body)
        relation = f"'{tmp_path}/all.parquet'"
    names = [name for name, *_ in connection.execute(f"DESCRIBE FROM {source}").fetchall()]
    assert [name for name, *_ in connection.execute(f"DESCRIBE FROM {relation}").fetchall()] == names
    for name in names:
        assert shown(connection, relation, [name]) == shown(connection, source, [name]), name


def test_wide_integers_are_exact_or_refused(node):
    for accept in ARROW, PARQUET:
        table = table_of(answer(node, "SELECT -99999999999999999999999999999999999999::HUGEINT AS h", accept), accept)
        assert str(table.column("h")[0]) == "-99999999999999999999999999999999999999"
        with pytest.raises(Refused) as refused:
            answer(node, "SELECT 170141183460469231731687303715884105727::HUGEINT AS h", accept)
        error = json.loads(refused.value.body)["error"]
        assert (refused.value.status, error["code"]) == (400, "invalid_argument")
        assert error["message"].startswith('column "h" cannot be written as DECIMAL(38,0): '), error


def test_a_large_result_comes_in_pieces(node):
    for begin in range(0, 400_000, 50_000):
        node.send("numbers", [json.dumps({"n": n, "text": f"row {n}"}) for n in range(begin, begin + 50_000)])
    node.wait_for_records("numbers", 400_000)
    for accept in ARROW, PARQUET:
        status, headers, body = node.request("GET", "/numbers?least=1000", headers={"Accept": accept})
        assert (status, headers["Content-Type"], headers.get("Transfer-Encoding")) == (200, accept, "chunked")
        table = table_of(body, accept)
        assert table.column("n").to_pylist() == list(range(1_000, 400_000))
        assert table.column("text")[-1].as_py() == "row 399999"
    assert len(list(pyarrow.ipc.open_stream(answer(node, "FROM numbers", ARROW)))) > 3


def test_endpoints_pages_and_statements_without_rows(node):
    node.send("numbers", [json.dumps({"n": n}) for n in range(100)], query="?wait=visible")
    for accept in ARROW, PARQUET:
        status, headers, body = node.request("GET", "/sums/3", headers={"Accept": accept})
        assert table_of(body, accept).to_pylist() == [{"digit": 3, "rows": 10, "total": 480}]
        assert node.request("GET", "/sums/3", headers={"Accept": accept, "If-None-Match": headers["ETag"]})[0] == 304
        assert table_of(node.request("GET", "/sums/11", headers={"Accept": accept})[2], accept).num_rows == 0
        seen, path = [], "/numbers?page_size=40"
        while path:
            _, headers, body = node.request("GET", path, headers={"Accept": accept})
            seen += table_of(body, accept).column("n").to_pylist()
            link = headers.get("Link")
            path = link and urllib.parse.urlsplit(link[1:link.index(">")])._replace(scheme="", netloc="").geturl()
        assert seen == list(range(100))
    for accept in ARROW, PARQUET:
        headers = {"Content-Type": "application/sql", "Accept": accept}
        status, headers, body = node.request("POST", "/v1/sql", b"INSERT INTO numbers VALUES (1000, 'x')", headers)
        assert (status, headers["Content-Type"], json.loads(body)["tag"]) == (200, "application/json", "INSERT")
    assert node.request("GET", "/sums/3", headers={"Accept": f"{PARQUET};q=0.5, text/csv"})[1]["Content-Type"].startswith("text/csv")
    with pytest.raises(Refused) as refused:
        node.request("GET", "/sums/3", headers={"Accept": "application/xml"})
    assert refused.value.status == 406 and PARQUET in refused.value.body


def test_many_at_once(node):
    node.send("numbers", [json.dumps({"n": n}) for n in range(5_000)], query="?wait=visible")

    def one(number):
        accept = [ARROW, PARQUET][number % 2]
        table = table_of(answer(node, f"SELECT n, n * {number} AS m FROM numbers ORDER BY n", accept), accept)
        return table.column("m").to_pylist() == [n * number for n in range(5_000)]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(64)))
