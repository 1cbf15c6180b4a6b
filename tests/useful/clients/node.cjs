// node-postgres as a web service uses it; one JSON line per check.
const { Client, Pool } = require('pg');

async function check(id, masked, work) {
  const line = { id, masked, value: null, error: null };
  try {
    line.value = await work();
  } catch (error) {
    line.error = `${error.code ?? ''} ${error.message} ${error.hint ?? ''}`;
  }
  console.log(JSON.stringify(line));
}

(async () => {
  const client = new Client();
  await client.connect();
  const rows = async (...query) => (await client.query(...query)).rows;
  await check('node/simple', {}, () => rows('select encounter_id, department, charge from clinic.encounters order by 1'));
  await check('node/parameters', {}, () => rows('select sku, attributes, labels from stock.items where category = $1 and unit_cost > $2 order by 1', ['fluid', 20]));
  await check('node/named-statement', {}, async () => {
    const seen = [];
    for (let n = 1; n < 20; n++) seen.push(await rows({ name: 'visits', text: 'select count(*) from clinic.encounters where patient_id = $1', values: [n] }));
    return seen;
  });
  await check('node/masked', { ssn: 'last4', phone: 'lastx4' }, () => rows('select patient_id, ssn, phone, state from clinic.patients order by 1 limit 40'));
  await check('node/array-mode-and-fields', {}, async () => {
    const result = await client.query({ text: 'select sku, unit_cost * 2 as twice from stock.items order by 1 limit 5', rowMode: 'array' });
    return [result.rows, result.fields.map((field) => [field.name, field.dataTypeID]), result.command, result.rowCount];
  });
  await check('node/several-statements', {}, async () => (await client.query('select 1 as one; select sku from stock.items order by 1 limit 1')).map((result) => result.rows));
  await check('node/transaction', {}, async () => {
    await client.query('begin');
    const changed = await client.query('update workbench.targets set goal = goal + 1 where department = $1 returning goal', ['Cardiology']);
    await client.query('rollback');
    return changed.rows;
  });
  await check('node/error-code', {}, async () => {
    try { await client.query('select 1 / 0'); } catch (error) { return error.code; }
    return 'no error';
  });
  await check('node/pool', {}, async () => {
    const pool = new Pool({ max: 3 });
    const answers = await Promise.all([...Array(12).keys()].map((n) => pool.query('select sku from stock.items where item_id = $1', [n + 1])));
    await pool.end();
    return answers.map((answer) => answer.rows);
  });
  await client.end();
})();
