CREATE ENDPOINT day ON GET '/days/{day}' (day DATE)
AS SELECT * FROM revenue_by_day WHERE day = $day;

CREATE ENDPOINT bought_with ON GET '/products/{stock_code}/bought-together' (stock_code VARCHAR)
AS SELECT other, baskets, rank FROM bought_together WHERE stock_code = $stock_code ORDER BY rank;

-- Bought together with what the customer has, less what he has.
CREATE ENDPOINT recommendations ON GET '/customers/{customer_id}/recommendations'
  (customer_id BIGINT, n INTEGER DEFAULT 10 CHECK (n BETWEEN 1 AND 100))
AS WITH mine AS (SELECT stock_code FROM customer_products WHERE customer_id = $customer_id)
   SELECT other AS stock_code, sum(baskets)::BIGINT AS score
   FROM bought_together JOIN mine USING (stock_code)
   WHERE other NOT IN (SELECT stock_code FROM mine)
   GROUP BY other
   ORDER BY score DESC, other
   LIMIT $n;
