import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Local } from '../local.js';
import { Witness } from '../witness.js';

/** @type {Local} */
let local;

before(async () => {
  local = await Local.start();
});

after(() => local?.stop());

test('a server that restarts without its data is connected to again, and counts from the beginning', async () => {
  const witness = new Witness({
    url: `ws://${local.address}/ws`,
    rest: `http://${local.address}/api`,
    token: await local.token(),
  });
  witness.watch('campaign:c-1');
  for (let count = 0; count < 3; count += 1) await local.call('acme', 'c-1');
  const before = await witness.untilShown('campaign:c-1', ({ data }) => data.totalAttempts === 3);

  await local.restart();
  await witness.untilStatus('live');
  await local.call('acme', 'c-1');
  const after = await witness.untilShown('campaign:c-1', ({ data }) => data.totalAttempts === 1);
  assert.ok(Number.parseInt(after.cursor, 10) < Number.parseInt(before.cursor, 10), 'an older cursor, and yet it is shown');
  assert.ok(witness.statuses.some(({ status }) => ['reconnecting', 'polling', 'offline'].includes(status)));
  witness.live.close();
});
