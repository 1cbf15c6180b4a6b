// Reads the clinic through node-postgres and prints every value it gets.
const { Client } = require("pg");

async function main() {
  const client = new Client({ ssl: false });
  await client.connect();
  for (const table of ["patients", "encounters", "notes"]) {
    const r = await client.query(`select * from clinic.${table}`);
    console.log("rows: " + r.rowCount + " " + JSON.stringify(r.rows));
  }
  for (let i = 1; i < 6; i++) {
    const r = await client.query({ name: "one", text: "select ssn, dob, email from clinic.patients where patient_id = $1", values: [i] });
    console.log(JSON.stringify(r.rows));
  }
  await client.end();
}

main().catch((e) => { console.error(e); process.exit(1); });
