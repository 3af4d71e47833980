-- Every line of every order, as the shop's till writes it. An invoice that starts with C takes a sale back, one that starts with A
-- adjusts a bad debt.
CREATE STREAM order_lines (
    invoice     VARCHAR       NOT NULL,
    line        INTEGER       NOT NULL CHECK (line >= 1),   -- position within the invoice
    stock_code  VARCHAR       NOT NULL,
    description VARCHAR,
    quantity    INTEGER       NOT NULL,
    ordered_at  TIMESTAMP     NOT NULL,
    unit_price  DECIMAL(12,3) NOT NULL,
    customer_id BIGINT,                                     -- NULL: nobody asked
    country     VARCHAR       NOT NULL,
    WATERMARK FOR ordered_at AS ordered_at - INTERVAL 7 DAYS,
    DEDUPLICATE ON (invoice, line)                          -- a till that sends twice is not paid twice
) PARTITION BY (invoice) INTO 4 PARTITIONS;

-- What the products are. Change a row, and whatever joins it changes with it.
CREATE TABLE products (stock_code VARCHAR PRIMARY KEY, category VARCHAR NOT NULL) WITH (seed = 'data/products.csv');
