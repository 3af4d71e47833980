-- Who is about to leave: a logistic model over what customers do, kept up to date as they do it.
CREATE TABLE customers (id BIGINT PRIMARY KEY, name VARCHAR, months INTEGER NOT NULL, weeks_away INTEGER NOT NULL);
CREATE STREAM complaints (customer_id BIGINT NOT NULL, text VARCHAR);

-- Takes months, complaints and weeks away; gives a label (0 or 1) and the probabilities of both. python3 tests/onnx_models.py wrote it.
CREATE MODEL churn FROM 'models/churn.onnx';

CREATE MATERIALIZED VIEW risks AS
SELECT id, name, p.label = 1 AS leaves, p.probabilities[2] AS risk
FROM (SELECT id, name, predict(churn, months, coalesce(n, 0), weeks_away) AS p
      FROM customers LEFT JOIN (SELECT customer_id, count(*) AS n FROM complaints GROUP BY 1) c ON c.customer_id = id);

CREATE ENDPOINT risk ON GET '/customers/{id}/risk' (id BIGINT) AS SELECT * FROM risks WHERE id = $id;
