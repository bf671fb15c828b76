// SPDX-License-Identifier: Apache-2.0
// node-postgres as an agent: simple, parameterised and named statements, a pool, a refusal. Prints JSON.
const { Client, Pool } = require('pg');

const where = { host: '127.0.0.1', user: 'app', database: 'postgres' };

async function main() {
  const out = {};
  const client = new Client(where);
  await client.connect();
  out.simple = (await client.query('SELECT id, email FROM shop.customers ORDER BY id')).rows;
  out.parameters = (await client.query('SELECT email, score FROM shop.customers WHERE id = $1', [1])).rows;
  out.named = [];
  const one = { name: 'one', text: 'SELECT ssn FROM shop.customers WHERE id = $1' };
  for (const id of [1, 2, 1]) out.named.push((await client.query({ ...one, values: [id] })).rows[0]);
  try {
    await client.query('DELETE FROM shop.notes WHERE id = $1', [1]);
  } catch (error) {
    out.refused = [error.code, Boolean(error.hint), error.detail];
  }
  out.after = (await client.query('SELECT 1 AS one')).rows;
  await client.end();
  const pool = new Pool({ ...where, max: 8 });
  const answers = await Promise.all(Array.from({ length: 200 }, (_, n) => pool.query('SELECT $1::int AS n', [n])));
  out.pool = answers.reduce((sum, answer) => sum + answer.rows[0].n, 0);
  await pool.end();
  console.log(JSON.stringify(out));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
