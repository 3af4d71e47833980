"""What Superset asks of a database: its own code, without its web page. Prints what it found as JSON.

    superset_client.py SQLALCHEMY_URI
"""
import json
import sys

from superset.app import create_app

app = create_app()
with app.app_context():
    from flask_appbuilder import Model
    from superset import db
    from superset.connectors.sqla.models import SqlaTable, SqlMetric
    from superset.models.core import Database
    from superset.sql.parse import Table

    Model.metadata.create_all(db.engine)
    database = Database(database_name="millrace", sqlalchemy_uri=sys.argv[1])
    db.session.add(database)
    database.set_sqlalchemy_uri(sys.argv[1])
    db.session.commit()
    spec = database.db_engine_spec
    found = {"schemas": sorted(database.get_all_schema_names()),
             "tables": sorted(table[0] for table in database.get_all_table_names_in_schema(None, "public")),
             "views": sorted(table[0] for table in database.get_all_view_names_in_schema(None, "public"))}
    orders = Table("orders", "public")
    found["columns"] = [{"name": column["column_name"], "type": str(column["type"])} for column in database.get_columns(orders)]
    with database.get_inspector(schema="public") as inspector:
        found["key"] = inspector.get_pk_constraint("orders", "public")["constrained_columns"]
        found["enums"] = [(enum["name"], enum["labels"]) for enum in inspector.get_enums("public")]
    star = database.select_star(orders, limit=100, show_cols=True, latest_partition=False)
    frame = database.get_df(star, schema="public")
    found["star"] = json.loads(frame[["id", "customer", "size", "amount"]].sort_values("id").to_json(orient="values"))
    lab = database.apply_limit_to_sql("SELECT customer, total FROM spent ORDER BY customer", 1000)
    found["lab"] = json.loads(database.get_df(lab, schema="public").to_json(orient="values"))
    # Every grain of time that a chart may be asked for.
    found["grains"], found["failed_grains"] = 0, []
    for grain, expression in spec.get_time_grain_expressions().items():
        try:
            database.get_df("SELECT " + expression.replace("{col}", "placed") + " AS at, sum(amount) FROM orders GROUP BY 1 ORDER BY 1", schema="public")
            found["grains"] += 1
        except Exception as error:  # all of them are told at once
            found["failed_grains"].append([grain, str(error)])
    # A chart over a data set.
    table = SqlaTable(table_name="orders", schema="public", database=database, main_dttm_col="placed")
    db.session.add(table)
    db.session.flush()
    table.fetch_metadata()
    table.metrics.append(SqlMetric(metric_name="amount_sum", expression="sum(amount)"))
    db.session.commit()
    chart = table.query({"columns": [], "groupby": [], "metrics": ["amount_sum"], "granularity": "placed", "is_timeseries": True, "from_dttm": None, "to_dttm": None, "filter": [],
                         "extras": {"time_grain_sqla": "P1M"}, "row_limit": 100, "orderby": []})
    assert chart.error_message is None, chart.error_message
    rows = sorted(chart.df.values.tolist(), key=lambda row: str(row[0]))
    found["chart"] = [[str(row[0])[:10], float(row[1])] for row in rows]
    print(json.dumps(found))
