"""Days of projects in SQLMesh. Each line of standard input is a day, each line of standard output the tables after it, as JSON.

A day: {"folder", "first", "execution_time", "sql": [statement], "tables": [name]}. Its tables: {name: {"columns", "rows"}}, every value as text;
or {"error"}.
"""

import gc
import json
import logging
import os
import sys
import warnings

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)

import duckdb
from sqlmesh import Context
from sqlmesh.core.config.connection import BaseDuckDBConnectionConfig
from sqlmesh.core.console import NoopConsole, set_console

set_console(NoopConsole())
os.environ["TZ"] = "UTC"


def build(day):
    context = Context(paths=[day["folder"]])
    try:
        if day["first"]:
            context.plan(auto_apply=True, no_prompts=True, execution_time=day["execution_time"], skip_tests=True)
        else:
            context.run(execution_time=day["execution_time"], skip_janitor=True)
    finally:
        context.close()
        # The database is opened by hand between two days.
        for adapter in BaseDuckDBConnectionConfig._data_file_to_adapter.values():
            adapter.close()
        BaseDuckDBConnectionConfig._data_file_to_adapter.clear()
        gc.collect()


def read(connection, name):
    columns = [f"{column[0]} {column[1]}" for column in connection.sql(f"DESCRIBE {name}").fetchall()]
    return {"columns": columns, "rows": connection.sql(f"SELECT COLUMNS(*)::VARCHAR FROM {name}").fetchall()}


def run(day):
    os.chdir(day["folder"])
    with duckdb.connect("compared.db") as connection:
        for statement in day["sql"]:
            connection.execute(statement)
    build(day)
    with duckdb.connect("compared.db") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return {name: read(connection, name) for name in day["tables"]}


answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for line in sys.stdin:
    try:
        answer = run(json.loads(line))
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), file=answers, flush=True)
