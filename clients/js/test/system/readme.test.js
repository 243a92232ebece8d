import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Local } from '../local.js';
import { until } from '../until.js';

test('the example of the README shows campaigns', async (context) => {
  const readme = await readFile(new URL('../../README.md', import.meta.url), 'utf8');
  const examples = [...readme.matchAll(/^```js\n(.*?)^```/gms)].map(([, example]) => example);
  assert.equal(examples.length, 1, 'each example is run here');

  const local = await Local.start();
  context.after(() => local.stop());
  // Within the package, whose own name it imports.
  const file = fileURLToPath(new URL('./.readme-example.js', import.meta.url));
  context.after(() => rm(file, { force: true }));
  await writeFile(file, examples[0].replaceAll('localhost:4000', local.address));

  const env = { ...process.env, LIVEFOLD_TOKEN: await local.token() };
  const example = spawn(process.execPath, [file], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  context.after(() => example.kill());
  let output = '';
  for (const stream of [example.stdout, example.stderr]) stream.on('data', (chunk) => (output += chunk));
  await until(() => `live, ${output}`, () => /^live/m.test(output));
  await local.call('acme', 'c-17');
  await until(() => `the call, ${output}`, () => /^c-17 1$/m.test(output));
});
