\set price random(1000, 500000)
SELECT post('ord_' || md5(random()::text || clock_timestamp()::text), :price);
