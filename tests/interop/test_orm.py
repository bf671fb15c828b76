# SPDX-License-Identifier: Apache-2.0
"""SQLAlchemy and alembic (psycopg2 under them) as an agent: a migration that policy allows, and one that it stops."""

import textwrap
import unittest

import harness
from harness import agent_document, entitlement_document, mask_document, target_document

ENV = """
from alembic import context
from sqlalchemy import create_engine
with create_engine("postgresql+psycopg2://app@127.0.0.1/postgres").connect() as connection:
    context.configure(connection=connection, version_table_schema="shop")
    with context.begin_transaction():
        context.run_migrations()
"""
FIRST = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "a1", None
def upgrade():
    op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True),
                    sa.Column("item", sa.String(80), nullable=False, server_default="none"),
                    sa.Column("paid", sa.Boolean), schema="shop")
    op.create_index("orders_item", "orders", ["item"], schema="shop")
def downgrade():
    op.drop_table("orders", schema="shop")
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "b2", "a1"
def upgrade():
    op.add_column("orders", sa.Column("note", sa.Text), schema="shop")
    op.execute("UPDATE shop.orders SET note = item")
def downgrade():
    op.drop_column("orders", "note", schema="shop")
"""
THIRD = """
from alembic import op
revision, down_revision = "c3", "b2"
def upgrade():
    op.execute("INSERT INTO shop.orders (item) VALUES ('ghost')")
    op.drop_table("payroll", schema="shop")
def downgrade():
    pass
"""


def setUpModule():
    global machine, server, project
    machine = harness.Machine()
    unittest.addModuleCleanup(machine.close)
    server = machine.start_server()
    server.sql(harness.SCHEMA)
    machine.write_policy(
        agent_document("bot"), target_document(masks=["pii"]),
        mask_document({"shop.customers.email": {"partial": {"keepLast": 4}}, "shop.customers.ssn": "redact"}),
        entitlement_document("bot", allow=[
            {"sql": {"statements": ["select", "insert", "update", "delete", "create", "alter", "drop"],
                     "tables": ["shop.orders", "shop.alembic_version", "shop.orders_item", "shop.orders_id_seq"]}},
            {"sql": {"statements": ["select"], "tables": ["shop.customers"]}}]))
    machine.start_daemon()
    project = machine.work / "migrations"
    (project / "versions").mkdir(parents=True)
    (project / "env.py").write_text(ENV)
    (project / "alembic.ini").write_text(f"[alembic]\nscript_location = {project}\n")
    for name, text in (("a1", FIRST), ("b2", SECOND), ("c3", THIRD)):
        (project / "versions" / f"{name}.py").write_text(text)


def alembic(*words):
    return machine.agent("bot", [harness.PYTHON, "-m", "alembic", "-c", project / "alembic.ini", *words])


class Migration(unittest.TestCase):
    def test_up_stopped_and_down(self):
        done = alembic("upgrade", "b2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(server.sql("SELECT version_num FROM shop.alembic_version"), "b2")
        with self.subTest("a step that policy refuses leaves nothing"):
            done = alembic("upgrade", "c3")
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("InsufficientPrivilege", done.stderr)
            self.assertIn("drop", done.stderr)
            self.assertEqual(server.sql("SELECT version_num FROM shop.alembic_version"), "b2")
            self.assertEqual(server.sql("SELECT count(*) FROM shop.orders"), "0")
            self.assertEqual(server.sql("SELECT count(*) FROM shop.payroll"), "1")
        done = alembic("downgrade", "base")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(server.sql("SELECT to_regclass('shop.orders') IS NULL"), "t")


class Models(unittest.TestCase):
    def test_reflection_queries_and_a_session(self):
        got = machine.python(textwrap.dedent("""
            import json
            import sqlalchemy as sa
            engine = sa.create_engine("postgresql+psycopg2://app@127.0.0.1/postgres")
            customers = sa.Table("customers", sa.MetaData(), autoload_with=engine, schema="shop")
            with engine.connect() as c:
                rows = c.execute(sa.select(customers.c.id, customers.c.email).order_by(customers.c.id)).fetchall()
                names = sa.inspect(engine).get_table_names(schema="shop")
            print(json.dumps([[c.name for c in customers.columns], [list(r) for r in rows], sorted(names)]))
            """))
        self.assertIn("ssn", got[0])
        self.assertEqual([row[0] for row in got[1]], [1, 2, 3])
        self.assertNotRegex(str(got[1]), "ada@|grace@")
        self.assertIn("customers", got[2])


if __name__ == "__main__":
    harness.main()
