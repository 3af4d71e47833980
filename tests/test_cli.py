"""The command line itself: help, versions, settings, and what it says to what it does not know."""
import re

import pytest

from node import SHOP, millrace

COMMANDS = ["run", "plan", "config", "load", "replay", "trace", "sql", "version"]


def test_every_command_has_help_with_an_example():
    top = millrace("--help")
    assert top.returncode == 0
    for command in COMMANDS:
        assert re.search(rf"^  {command}\s", top.stdout, re.M), command
        done = millrace(command, "--help")
        assert done.returncode == 0 and f"\n  millrace {command}" in done.stdout or f"| millrace {command}" in done.stdout, done.stdout


def test_versions():
    for arguments in ["version"], ["--version"]:
        done = millrace(*arguments)
        assert done.returncode == 0
        assert re.fullmatch(r"millrace \d+\.\d+\.\d+ \(DuckDB v1\.5\.6, RocksDB \d+\.\d+\.\d+\)\n", done.stdout), done.stdout


@pytest.mark.parametrize("arguments, expected", [
    (["plna", "examples/shop"], ['unknown command "plna"', 'did you mean "plan"?']),
    (["versoin"], ['unknown command "versoin"', 'did you mean "version"?']),
    (["xyzzy"], ['unknown command "xyzzy"', "millrace --help"]),
    (["run", "examples/shop", "--wrokers", "2"], ['unknown flag "--wrokers"', 'did you mean "--workers"?', "millrace run --help"]),
    (["load", "s", "f", "--formt=csv"], ['unknown flag "--formt"', 'did you mean "--format"?']),
    (["plan", "a", "b"], ['unknown argument "b"', "millrace plan --help"]),
    (["--verbos", "version"], ['unknown flag "--verbos"', 'did you mean "--verbose"?']),
    (["load", "s"], ["FILE is required"]),
    (["load", "s", "f", "--format", "xml"], ["xml"]),
    ([], ["a command is needed"]),
])
def test_what_is_not_known_is_an_error_with_the_nearest(arguments, expected):
    done = millrace(*arguments)
    assert done.returncode == 2, done
    for part in expected:
        assert part in done.stderr, done.stderr


def settings(done):
    assert done.returncode == 0, done.stderr
    lines = [re.split(r"\s{2,}", line.strip()) for line in done.stdout.splitlines()]
    return {name: (value, origin) for name, value, origin in lines}


def test_config_says_where_each_value_came_from(tmp_path):
    found = settings(millrace("config", cwd=tmp_path))
    assert set(found) == {"auth", "column_cache", "data", "disk_reserve", "http", "http_cors_origins", "io_threads", "kafka", "kafka_advertised", "kafka_auto_create", "kafka_client_fetch_quota", "kafka_client_produce_quota",
                          "kafka_stream_fetch_quota", "kafka_stream_produce_quota", "log_level", "memory", "pg", "tls", "tls_certificate", "tls_key", "view_step_seconds", "workers"}
    assert found["kafka"] == ("127.0.0.1:9092", "default") and found["kafka_advertised"] == ("auto", "default")
    assert found["pg"] == ("127.0.0.1:5432", "default")
    assert found["view_step_seconds"] == ("10", "default")
    assert found["column_cache"] == ("4GiB", "default")
    assert found["http_cors_origins"] == ("none", "default")
    assert found["http"] == ("127.0.0.1:8080", "default")
    assert found["data"] == ("./.millrace", "default")
    assert int(found["workers"][0]) >= 1 and re.fullmatch(r"\d+MiB", found["memory"][0])
    (tmp_path / "millrace.toml").write_text('http = "127.0.0.1:1"\nworkers = 3\nmemory = "1GiB"\n')
    found = settings(millrace("config", tmp_path, "--http", "off", env={"MILLRACE_HTTP": "127.0.0.1:2", "MILLRACE_WORKERS": "4"}))
    assert found["http"] == ("off", "flag --http")
    assert found["workers"] == ("4", "environment MILLRACE_WORKERS")
    assert found["memory"] == ("1GiB", f"{tmp_path}/millrace.toml")
    assert found["data"] == (f"{tmp_path}/.millrace", "default")
    assert settings(millrace("config", SHOP))["workers"]


def test_wrong_settings_are_named(tmp_path):
    (tmp_path / "a.sql").write_text("CREATE STREAM s (k BIGINT);")
    (tmp_path / "millrace.toml").write_text('name = "x"\nwrokers = 2\n')
    for command in "config", "plan", "run":
        done = millrace(command, tmp_path)
        assert done.returncode == 1
        assert f"({tmp_path}/millrace.toml:2:1)" in done.stderr and 'did you mean "workers"?' in done.stderr, done.stderr
    (tmp_path / "millrace.toml").write_text("workers = 1000\n")
    for command in "config", "plan", "run":
        done = millrace(command, tmp_path)
        assert done.returncode == 1 and f'workers = "1000" ({tmp_path}/millrace.toml)' in done.stderr, done.stderr
    done = millrace("run", tmp_path, env={"MILLRACE_HTTP": "nowhere", "MILLRACE_WORKERS": "1"})
    assert done.returncode == 1 and "environment MILLRACE_HTTP" in done.stderr, done.stderr
    assert not (tmp_path / ".millrace").exists()
