-- What counts as a sale: not taken back, to somebody we know, for money. A name, nothing is stored.
CREATE VIEW sales AS
SELECT *, quantity * unit_price AS amount
FROM order_lines
WHERE NOT starts_with(invoice, 'C') AND customer_id IS NOT NULL AND quantity > 0 AND unit_price > 0;

-- The books, day by day, over all lines.
CREATE MATERIALIZED VIEW revenue_by_day AS
SELECT ordered_at::DATE AS day,
       coalesce(sum(quantity * unit_price) FILTER (WHERE invoice[1] NOT IN ('C', 'A')), 0) AS revenue,
       count(DISTINCT invoice)             FILTER (WHERE invoice[1] NOT IN ('C', 'A'))     AS orders,
       count(*)                            FILTER (WHERE invoice[1] NOT IN ('C', 'A'))     AS lines,
       coalesce(-sum(quantity * unit_price) FILTER (WHERE starts_with(invoice, 'C')), 0)   AS returned
FROM order_lines
GROUP BY day;

CREATE MATERIALIZED VIEW revenue_by_country AS
SELECT country, sum(amount) AS revenue, count(DISTINCT customer_id) AS customers
FROM sales
GROUP BY country;

-- The ten products of each month that brought most.
CREATE MATERIALIZED VIEW top_products AS
SELECT month, stock_code, revenue, rank
FROM (SELECT month, stock_code, revenue,
             row_number() OVER (PARTITION BY month ORDER BY revenue DESC, stock_code) AS rank
      FROM (SELECT date_trunc('month', ordered_at)::DATE AS month, stock_code, sum(amount) AS revenue
            FROM sales
            GROUP BY 1, 2))
WHERE rank <= 10;

CREATE MATERIALIZED VIEW customer_value AS
SELECT customer_id, count(DISTINCT invoice) AS orders, sum(amount) AS revenue,
       min(ordered_at) AS first_order, max(ordered_at) AS last_order
FROM sales
GROUP BY customer_id;

-- A stream joined with a table: update a product, and its revenue moves to the other category.
CREATE MATERIALIZED VIEW revenue_by_category AS
SELECT category, sum(amount) AS revenue, count(*) AS lines
FROM sales JOIN products USING (stock_code)
GROUP BY category;
