"""Time zones of sessions over the PostgreSQL protocol: what is shown, read and worked out in them, beside PostgreSQL 15 itself."""
import asyncio
import datetime
import zoneinfo

import pytest

from pg_node import Wire, dsn, host_port, psql, started
from postgres_server import postgres_server, why_not

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Africa/Casablanca", "Pacific/Apia",
         "EST5EDT", "Etc/GMT-2", "UTC+3", "2", "-5", "+02:00"]
MOMENTS = ["infinity", "-infinity", "0044-03-15 12:00:00+00 BC", "0001-12-31 23:30:00+00 BC", "0001-01-01 00:00:00+00", "1492-10-12 00:00:00+00", "1850-06-01 12:00:00+00",
           "1890-01-01 00:00:00.123456+00", "1945-07-01 00:00:00+00", "1970-01-01 00:00:00+00", "2011-12-30 09:59:59+00", "2011-12-30 10:00:00+00",
           "2024-03-10 06:59:59+00", "2024-03-10 07:00:00+00", "2024-03-31 00:59:59.999999+00", "2024-03-31 01:00:00+00", "2024-10-27 00:59:59+00",
           "2024-10-27 01:00:00+00", "2024-12-31 23:59:59.5+00", "2050-07-01 00:00:00+00", "2499-07-01 00:00:00+00", "9999-12-31 23:00:00+00", "20000-07-01 00:00:00+00"]
CLOCKS = ["2024-07-01 12:00:00", "2024-03-31 02:30:00", "2024-10-27 02:30:00", "2024-03-10 02:30:00", "2024-11-03 01:30:00", "1890-01-01 12:00:00", "2024-07-01",
          "2024-07-01 12:00:00+05", "2024-07-01T12:00:00Z", "2024-07-01 12:00:00 America/New_York", "2499-07-01 12:00:00", "infinity"]
PROJECT = """
CREATE TABLE stamps (id BIGINT PRIMARY KEY, t TIMESTAMPTZ);
CREATE TABLE by_stamp (t TIMESTAMPTZ PRIMARY KEY, name VARCHAR);
CREATE MATERIALIZED VIEW days AS SELECT CAST(t AS DATE) AS day, count(*) AS n FROM stamps GROUP BY ALL;
"""
VALUES = "SELECT TIMESTAMPTZ '2024-07-01 22:30:00+00' AS t"


@pytest.fixture(scope="module")
def node(folder):
    node = started(folder, PROJECT)
    yield node
    node.stop()


@pytest.fixture(scope="module")
def postgres():
    """The arguments of psql for a PostgreSQL 15 of its own."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with postgres_server("fsync=off") as address:
        yield address


def both(node, postgres, run):
    """What `run` gives of a connection of psycopg to each of the two."""
    import psycopg
    found = []
    for address in (dsn(node), postgres):
        with psycopg.connect(address, autocommit=True) as connection:
            connection.adapters.register_loader("timestamptz", psycopg.types.string.TextLoader)
            found.append(run(connection))
    return found


def agreed(zone, texts):
    """Without those of which the two have other rules: Morocco's clocks of years to come change with every version of the time zone database."""
    return [text for text in texts if zone != "Africa/Casablanca" or not text[:4].isdigit() or int(text.split("-")[0]) < 2026]


@pytest.mark.parametrize("zone", ZONES)
def test_texts_are_those_of_postgresql(node, postgres, zone):
    def shown(connection):
        connection.execute(f"SET TIME ZONE '{zone}'")
        texts = [connection.execute("SHOW timezone").fetchone()[0], connection.info.parameter_status("TimeZone")]
        return texts + [connection.execute("SELECT %s::timestamptz AS t", (moment,)).fetchone()[0] for moment in moments]
    moments = agreed(zone, MOMENTS)
    ours, theirs = both(node, postgres, shown)
    assert dict(zip(["SHOW", "status"] + moments, ours)) == dict(zip(["SHOW", "status"] + moments, theirs))


@pytest.mark.parametrize("zone", ZONES)
def test_texts_are_read_as_postgresql_reads_them(node, postgres, zone):
    def read(connection):
        connection.execute(f"SET TIME ZONE '{zone}'")
        if connection.execute("SELECT 1 AS x, current_setting('server_version')").fetchone()[1].endswith("(Millrace)"):
            connection.execute("DELETE FROM stamps")
        else:
            connection.execute("CREATE TEMPORARY TABLE stamps (id BIGINT, t TIMESTAMPTZ)")
        with connection.cursor().copy("COPY stamps FROM STDIN") as copy:
            for i, clock in enumerate(clocks):
                copy.write_row((i, clock))
        rows = connection.execute("SELECT t FROM stamps ORDER BY id").fetchall()
        bound = [connection.execute("SELECT %s::timestamptz AS t", (clock,)).fetchone() for clock in clocks]
        written = []
        for clock in clocks[:6]:
            connection.execute("DELETE FROM stamps")
            connection.execute(f"INSERT INTO stamps VALUES (1, TIMESTAMPTZ '{clock}')")
            written += connection.execute("SELECT t FROM stamps").fetchall()
        with connection.cursor().copy("COPY (SELECT t FROM stamps) TO STDOUT") as copy:
            copied = b"".join(copy)
        return rows, bound, written, copied
    clocks = agreed(zone, CLOCKS)
    ours, theirs = both(node, postgres, read)
    assert ours == theirs


def test_queries_work_times_out_in_the_zone(node):
    def run(*commands):
        return psql(node, *commands, flags=("-X", "-q", "-A", "-t")).split("\n")[:-1]
    question = ("SELECT date_trunc('day', t), t::DATE, t::TIMESTAMP, extract(hour FROM t), '2024-07-01 12:00'::TIMESTAMPTZ, TIMESTAMP '2024-01-01 12:00'::TIMESTAMPTZ, "
                f"t::VARCHAR FROM ({VALUES})")
    assert run(question) == ["2024-07-01 00:00:00+00|2024-07-01|2024-07-01 22:30:00|22|2024-07-01 12:00:00+00|2024-01-01 12:00:00+00|2024-07-01 22:30:00+00"]
    berlin = "2024-07-02 00:00:00+02|2024-07-02|2024-07-02 00:30:00|0|2024-07-01 12:00:00+02|2024-01-01 12:00:00+01|2024-07-02 00:30:00+02"
    assert run("SET TIME ZONE 'Europe/Berlin'", question, question, "SET TIME ZONE DEFAULT", "SHOW timezone") == [berlin, berlin, "UTC"]
    assert run("SET TIME ZONE 'Pacific/Kiritimati'", "SELECT current_date - (now() AT TIME ZONE 'Pacific/Kiritimati')::DATE, current_setting('TimeZone')") == ["0|Pacific/Kiritimati"]
    assert run("SET timezone = 'america/new_york'", "SHOW TIME ZONE", "SET TIME ZONE LOCAL", "SHOW timezone", "SET TIME ZONE INTERVAL '+02:00' HOUR TO MINUTE",
               "SHOW timezone", "SET TIME ZONE -5", "SHOW timezone") == ["America/New_York", "UTC", "<+02>-02", "<-05>+05"]
    # Within a block, and only there.
    assert run("BEGIN", "SET LOCAL timezone = 'Asia/Tokyo'", VALUES, "COMMIT", VALUES, "BEGIN", "SET timezone = 'Asia/Tokyo'", "ROLLBACK", VALUES) == [
        "2024-07-02 07:30:00+09", "2024-07-01 22:30:00+00", "2024-07-01 22:30:00+00"]
    assert run("SELECT utc_offset, is_dst FROM pg_timezone_names WHERE name = 'Asia/Kolkata'") == ["05:30:00|f"]
    psql(node, "DELETE FROM stamps", "INSERT INTO stamps VALUES (1, '2024-07-01 10:00:00+00')")
    assert run("SET TIME ZONE 'Europe/Berlin'", "SELECT count(*) FROM stamps WHERE t = '2024-07-01 12:00'", "SET timezone = 'UTC'",
               "SELECT count(*) FROM stamps WHERE t = '2024-07-01 12:00'") == ["1", "0"]


def test_views_stay_in_utc_whoever_makes_them(node):
    psql(node, "DELETE FROM stamps", "SET TIME ZONE 'Asia/Tokyo'", "CREATE MATERIALIZED VIEW tokyo_days AS SELECT CAST(t AS DATE) AS day, count(*) AS n FROM stamps GROUP BY ALL",
         "INSERT INTO stamps VALUES (1, '2024-07-02 07:30')")
    for zone in ("UTC", "Asia/Tokyo"):
        for view in ("days", "tokyo_days"):
            assert psql(node, f"SET TIME ZONE '{zone}'", f"SELECT day, n FROM {view}", flags=("-X", "-q", "-A", "-t")) == "2024-07-01|1\n"


def test_lookups_by_time_are_in_the_zone(node):
    import psycopg
    with psycopg.connect(dsn(node), autocommit=True, prepare_threshold=0) as connection:
        connection.execute("DELETE FROM by_stamp")
        connection.execute("INSERT INTO by_stamp VALUES ('2024-07-01 10:00:00+00', 'ten')")
        for zone, clock in [("UTC", "10:00"), ("Europe/Berlin", "12:00"), ("UTC", "10:00")]:
            connection.execute(f"SET TIME ZONE '{zone}'")
            for _ in range(4):
                assert connection.execute("SELECT name FROM by_stamp WHERE t = %s", (f"2024-07-01 {clock}",)).fetchall() == [("ten",)]
                assert connection.execute(f"SELECT name FROM by_stamp WHERE t = '2024-07-01 {clock}'").fetchall() == [("ten",)]
                assert connection.execute("SELECT name FROM by_stamp WHERE t = %s", (datetime.datetime.fromisoformat(f"2024-07-01T{clock}"),)).fetchall() == [("ten",)]


def test_unknown_zones_are_refused_as_postgresql_refuses_them(node):
    import psycopg
    with psycopg.connect(dsn(node), autocommit=True) as connection:
        for zone in ("Nowhere/X", "BST", "CEST", "", "200", "Europe"):
            with pytest.raises(psycopg.errors.InvalidParameterValue) as refused:
                connection.execute(f"SET TIME ZONE '{zone}'")
            assert f'invalid value for parameter "TimeZone": "{zone}"' in str(refused.value)
            assert "pg_timezone_names" in refused.value.diag.message_hint
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)
    with pytest.raises(psycopg.OperationalError, match="Nowhere"):
        psycopg.connect(dsn(node, options="'-c TimeZone=Nowhere/X'"))


def test_clients_begin_with_their_zone(node):
    import asyncpg
    import psycopg
    import psycopg2
    instant = datetime.datetime(2024, 7, 1, 22, 30, tzinfo=datetime.timezone.utc)
    wire = Wire(node, startup=False)
    wire.startup("ann", TimeZone="Asia/Kathmandu")
    assert (b"S", b"TimeZone\0Asia/Kathmandu\0") in wire.until(b"Z")
    wire.close()
    assert psql(node, VALUES, flags=("-X", "-q", "-A", "-t"), env={"PGTZ": "Asia/Kathmandu", "PATH": "/usr/bin:/bin"}) == "2024-07-02 04:15:00+05:45\n"
    with psycopg.connect(dsn(node, options="'-c TimeZone=Europe/Berlin'")) as connection:
        found = connection.execute(VALUES).fetchone()[0]
        assert found == instant and found.utcoffset() == datetime.timedelta(hours=2) and found.tzinfo == zoneinfo.ZoneInfo("Europe/Berlin")
        connection.execute("RESET timezone")
        assert connection.info.parameter_status("TimeZone") == "Europe/Berlin"
    connection = psycopg2.connect(dsn(node, options="'-c TimeZone=Europe/Berlin'"))
    with connection.cursor() as cursor:
        cursor.execute(VALUES)
        assert cursor.fetchone()[0].isoformat() == "2024-07-02T00:30:00+02:00"
    connection.close()

    async def with_asyncpg():
        host, port = host_port(node)
        connection = await asyncpg.connect(host=host, port=port, user="ann", database="millrace", server_settings={"timezone": "America/New_York"})
        assert await connection.fetchval(VALUES) == instant
        assert connection.get_settings().TimeZone == "America/New_York"
        assert await connection.fetchval("SELECT t::TIMESTAMP FROM (SELECT $1::TIMESTAMPTZ AS t)", instant) == datetime.datetime(2024, 7, 1, 18, 30)
        await connection.close()
    asyncio.run(with_asyncpg())
