// node-postgres: text and binary results, prepared statements, several statements, errors, notices, notifications.
const { Client } = require("pg");

const show = (label, value) => console.log(label + ": " + JSON.stringify(value));

async function attempt(label, work) {
  try {
    show(label, await work());
  } catch (e) {
    show(label, [e.code, e.severity, e.message, e.detail, e.hint, e.position, e.constraint]);
  }
}

async function main() {
  const client = new Client({ ssl: false });
  client.on("notice", (n) => show("notice", [n.severity, n.message]));
  await client.connect();
  const all = await client.query({ text: "select * from kinds order by i4 limit 60", rowMode: "array" });
  show("fields", all.fields.map((f) => [f.name, f.dataTypeID, f.dataTypeModifier, f.format, f.columnID]));
  all.rows.forEach((row) => show("row", row));
  for (let i = 0; i < 5; i++) {
    const r = await client.query({ name: "by-number", text: "select i4, t, n from kinds where i4 = $1", values: [i] });
    show("prepared", [r.command, r.rowCount, r.rows]);
  }
  const binary = await client.query({ text: "select i4, f8, b, t from kinds where i4 < $1 order by i4", values: [9], binary: true });
  show("binary", binary.rows);
  const several = await client.query("select 1 as a; select 2 as b; set work_mem = '5MB'; show work_mem");
  show("several", several.map((r) => [r.command, r.rows]));
  await attempt("division", () => client.query("select 1/0"));
  await attempt("bound division", () => client.query("select 1/$1::int", [0]));
  await attempt("unique", () => client.query("insert into parents values (1, 'x')"));
  await client.query("begin");
  await attempt("in transaction", () => client.query("select * from nowhere"));
  await attempt("failed", () => client.query("select 1"));
  await client.query("rollback");
  await client.query("do $$ begin raise notice 'to node'; end $$");
  show("at once", (await Promise.all([...Array(40).keys()].map((n) => client.query("select $1::int as n, repeat('z', $1) as z", [n])))).map((r) => r.rows[0]));
  const told = new Promise((resolve) => client.on("notification", (n) => resolve([n.channel, n.payload])));
  await client.query("listen node_news");
  await client.query("notify node_news, 'payload'");
  show("notified", await told);
  await client.end();
}

main().catch((e) => { console.error(e); process.exit(1); });
