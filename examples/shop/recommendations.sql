-- Which products a customer has bought.
CREATE MATERIALIZED VIEW customer_products AS
SELECT DISTINCT customer_id, stock_code FROM sales;

-- What is bought together: for each product the ten most frequent companions. Invoices with more than 50 different products are wholesale
-- and say little about taste. Some seven million pairs pass through this join.
CREATE MATERIALIZED VIEW bought_together AS
WITH basket AS (SELECT DISTINCT invoice, stock_code FROM sales),
     small  AS (SELECT invoice FROM basket GROUP BY invoice HAVING count(*) <= 50),
     pairs  AS (SELECT a.stock_code, b.stock_code AS other, count(*) AS baskets
                FROM small
                JOIN basket a ON a.invoice = small.invoice
                JOIN basket b ON b.invoice = small.invoice AND b.stock_code <> a.stock_code
                GROUP BY 1, 2)
SELECT stock_code, other, baskets, rank
FROM (SELECT *, row_number() OVER (PARTITION BY stock_code ORDER BY baskets DESC, other) AS rank FROM pairs)
WHERE rank <= 10;

CREATE INDEX customer_products_by_customer ON customer_products (customer_id);
CREATE INDEX bought_together_by_product ON bought_together (stock_code);
