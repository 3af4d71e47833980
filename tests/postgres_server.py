"""A PostgreSQL 15 of its own (Debian's postgresql-15), in a temporary folder, on a Unix socket there."""
import contextlib
import os
import pathlib
import shutil
import subprocess
import tempfile

PROGRAMS = pathlib.Path("/usr/lib/postgresql/15/bin")


def why_not():
    """Why none can be started; None where one can."""
    return None if PROGRAMS.exists() else f"needs PostgreSQL 15 in {PROGRAMS} (Debian's postgresql-15)"


@contextlib.contextmanager
def postgres_server(*settings):
    """The arguments of psql for it. `settings`: as fsync=off."""
    with tempfile.TemporaryDirectory() as folder:
        # It refuses to run as root.
        as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if as_postgres:
            shutil.chown(folder, "postgres")

        def run(program, *arguments):
            done = subprocess.run([*as_postgres, PROGRAMS / program, "-D", f"{folder}/data", *arguments], cwd="/", text=True,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            assert done.returncode == 0, f"{program}: {done.stderr}"

        run("initdb", "-A", "trust", "-U", "ann", "--no-sync")
        options = "".join(f" -c {setting}" for setting in settings)
        run("pg_ctl", "-w", "-l", f"{folder}/log", "-o", f"-c listen_addresses= -c unix_socket_directories={folder}{options}", "start")
        try:
            yield f"host={folder} dbname=postgres user=ann"
        finally:
            run("pg_ctl", "-m", "fast", "-w", "stop")
