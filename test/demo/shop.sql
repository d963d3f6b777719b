-- The shop as it opens in the morning: what an application has of its own, and
-- the little that payments has to be told.  Run once, by an administrator.

SELECT payments.set_merchant('default', 'test_ck_simulator0only');
SELECT payments.set_seller(11, 0.05), payments.set_seller(12, 0.08),
	payments.set_seller(13, 0.035), payments.set_seller(14, 0.1);

-- Three roles, none with a right to any table that moves money
CREATE ROLE shop_app LOGIN;
CREATE ROLE shop_till LOGIN;
CREATE ROLE shop_books LOGIN;
SELECT payments.grant_to('shop_app', 'application');
SELECT payments.grant_to('shop_till', 'bookkeeper');
SELECT payments.grant_to('shop_books', 'auditor');

CREATE SCHEMA shop AUTHORIZATION shop_app;
SET ROLE shop_app;

CREATE TABLE shop.seller (
	id bigint PRIMARY KEY,
	name text NOT NULL,
	english text NOT NULL
);
CREATE TABLE shop.product (
	id bigint PRIMARY KEY,
	seller_id bigint NOT NULL REFERENCES shop.seller,
	name text NOT NULL,
	english text NOT NULL,
	price numeric NOT NULL CHECK (price > 0)
);
CREATE TABLE shop.customer (
	id bigint PRIMARY KEY,
	name text NOT NULL,
	english text NOT NULL
);
CREATE TABLE shop.cart (
	customer_id bigint NOT NULL REFERENCES shop.customer,
	product_id bigint NOT NULL REFERENCES shop.product,
	quantity integer NOT NULL CHECK (quantity > 0),
	PRIMARY KEY (customer_id, product_id)
);
CREATE TABLE shop.purchase (
	order_id text PRIMARY KEY,
	customer_id bigint NOT NULL REFERENCES shop.customer,
	ship_to text NOT NULL,
	placed_at timestamptz NOT NULL DEFAULT now()
);

-- A cart as payments.checkout takes it
CREATE VIEW shop.basket AS
	SELECT c.customer_id,
		jsonb_agg(jsonb_build_object(
			'seller_id', p.seller_id, 'product_id', p.id::text, 'name', p.name,
			'unit_price', p.price, 'quantity', c.quantity) ORDER BY p.id) AS lines
	FROM shop.cart c JOIN shop.product p ON p.id = c.product_id
	GROUP BY c.customer_id;

INSERT INTO shop.seller VALUES
	(11, '하동 다원', 'Hadong Tea Garden'),
	(12, '이천 도예', 'Icheon Pottery'),
	(13, '한빛 전자', 'Hanbit Electronics'),
	(14, '전주 한지방', 'Jeonju Paper House');
INSERT INTO shop.product VALUES
	(101, 11, '우전 녹차 80g', 'first-flush green tea, 80 g', 42000),
	(102, 11, '유자청 500g', 'yuja preserve, 500 g', 14500),
	(103, 11, '제주 감귤칩', 'Jeju tangerine crisps', 8900),
	(201, 12, '청자 찻잔 2인 세트', 'celadon tea cups, set of two', 68000),
	(202, 12, '분청 화병', 'buncheong flower vase', 125000),
	(203, 12, '옹기 항아리 3L', 'onggi jar, 3 l', 54000),
	(301, 13, '무선 이어폰', 'wireless earphones', 89000),
	(302, 13, '전기 주전자 1L', 'electric kettle, 1 l', 39900),
	(303, 13, 'USB-C 충전기 65W', 'USB-C charger, 65 W', 29900),
	(401, 14, '한지 조명', 'paper lamp', 76000),
	(402, 14, '붓글씨 세트', 'calligraphy set', 33000),
	(403, 14, '한지 공책', 'notebook of mulberry paper', 12000);
INSERT INTO shop.customer VALUES
	(1, '김서연', 'Kim Seo-yeon'),
	(2, '박지호', 'Park Ji-ho'),
	(3, '이민준', 'Lee Min-jun'),
	(4, '정하은', 'Jung Ha-eun'),
	(5, '최유진', 'Choi Yu-jin'),
	(6, '강도윤', 'Kang Do-yun'),
	(7, '윤서준', 'Yoon Seo-jun'),
	(8, '한지민', 'Han Ji-min');
INSERT INTO shop.cart VALUES
	(1, 101, 1), (1, 102, 2), (1, 201, 1),
	(2, 202, 1),
	(3, 301, 1), (3, 303, 1),
	(4, 401, 1), (4, 403, 3),
	(5, 203, 1),
	(6, 302, 1), (6, 402, 1),
	(7, 402, 2),
	(8, 103, 3);

-- The auditor reads names and nothing else of the shop's.
GRANT USAGE ON SCHEMA shop TO shop_books;
GRANT SELECT ON shop.seller, shop.customer, shop.purchase TO shop_books;
RESET ROLE;
