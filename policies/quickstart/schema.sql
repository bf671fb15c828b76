-- SPDX-License-Identifier: Apache-2.0
-- The quickstart's little world. Every person, number and key in it is made up: 4111… and 5500… are the card networks'
-- own test numbers.
CREATE TABLE public.customers (
    id integer PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL,
    ssn text NOT NULL,
    country text NOT NULL,
    note text
);
CREATE TABLE public.orders (
    id integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES public.customers,
    item text NOT NULL,
    amount numeric(10, 2) NOT NULL,
    comment text
);
CREATE TABLE public.payroll (employee text NOT NULL, salary integer NOT NULL);

INSERT INTO public.customers VALUES
    (1, 'Ada Byron', 'ada.byron@example.com', '219-09-9999', 'GB', 'prefers e-mail'),
    (2, 'Grace Murray', 'grace@example.org', '457-55-5462', 'US', 'second address: gm@example.net'),
    (3, 'Edsger Wybe', 'edsger.w@example.com', '078-05-1120', 'NL', NULL);
INSERT INTO public.orders VALUES
    (101, 1, 'difference engine, small', 1899.00, 'paid with 4111 1111 1111 1111'),
    (102, 2, 'nanosecond of wire', 0.99, NULL),
    (103, 3, 'fountain pen', 120.50, 'card 5500005555555559 was declined once');
INSERT INTO public.payroll VALUES ('Ada Byron', 91000), ('Grace Murray', 99000);
