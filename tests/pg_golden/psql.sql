\d
\dt
\dv
\dm
\di
\d products
\d clicks
\d by_product
\d+ cheap
\dn
\l
\du
\df
\dT
\dx
\dp products
\db
\des
\d millrace.views
\dt *.*prod*
SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1;
SELECT 'products'::regclass::oid = (SELECT oid FROM pg_class WHERE relname = 'products');
SELECT obj_description('products'::regclass, 'pg_class');
SELECT format_type(1700, 655366), format_type(1016, -1);
SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1;
SELECT column_name, data_type, is_nullable, numeric_precision, column_default FROM information_schema.columns WHERE table_name = 'products' ORDER BY ordinal_position;
SELECT * FROM pg_indexes ORDER BY indexname;
