import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lists } from '../../lists.js';
import { liveStage, settle } from '../fakes.js';

/** A server that speaks batches. */
function modern({ server }) {
  server.protocol = 'livefold.batch';
  return { rest: null };
}

const subscribed = (socket) => socket.actions('subscribe').map(({ channel, channels }) => channels ?? channel);

test('batches are offered beside what older servers speak', async () => {
  const { server } = await liveStage({ rest: null });
  assert.deepEqual(server.newest.protocols.slice(0, 2), ['livefold.batch', 'livefold.v1']);
});

test('an older server is told of each channel by itself', async () => {
  const { server } = await liveStage({ rest: null }, 'campaign:c-1', 'system');
  assert.deepEqual(subscribed(server.newest), ['campaign:c-1', 'system']);
});

test('what is subscribed to in one go is one message, and so it is on the next socket', async () => {
  const { clock, server, watch, live } = await liveStage(modern, 'campaign:c-1', 'system');
  assert.deepEqual(subscribed(server.newest), [['campaign:c-1', 'system']]);
  for (const channel of ['campaign:c-2', 'campaign:c-3']) watch(channel);
  await settle();
  assert.deepEqual(subscribed(server.newest).slice(1), [['campaign:c-2', 'campaign:c-3']]);
  for (const channel of ['campaign:c-1', 'campaign:c-2']) live.unsubscribe(channel);
  await settle();
  assert.deepEqual(server.newest.actions('unsubscribe').map(({ channels }) => channels), [['campaign:c-1', 'campaign:c-2']]);
  server.newest.drop();
  await clock.pass(1_000);
  server.newest.accept();
  assert.deepEqual(subscribed(server.newest), [['system', 'campaign:c-3']]);
});

test('one channel is no list', async () => {
  const { server } = await liveStage(modern, 'system');
  assert.deepEqual(subscribed(server.newest), ['system']);
});

test('each message of a batch counts as if it had come alone, in order', async () => {
  const { server, told } = await liveStage(modern, 'campaign:c-1');
  const socket = server.newest;
  told.messages.length = told.views.length = 0;
  socket.batch(
    { type: 'call_event', channel: 'campaign:c-1', data: { callId: 'k' }, cursor: '5.a', timestamp: server.timestamp },
    socket.viewOf('campaign:c-1', '5.a', {}),
    socket.viewOf('campaign:c-1', '6.a', {}),
  );
  assert.deepEqual(told.messages.map(({ type }) => type), ['call_event', 'metrics_update', 'metrics_update']);
  assert.deepEqual([told.notices.length, told.views.map(({ cursor }) => cursor)], [1, ['5.a', '6.a']]);
});

test('a message that nobody can read loses none of its batch', async () => {
  const { server, told } = await liveStage(modern, 'campaign:c-1', 'campaign:c-2');
  const socket = server.newest;
  told.views.length = 0;
  socket.batch(socket.viewOf('campaign:c-1', '2.a', {}), null, 7, {}, [], socket.viewOf('campaign:c-2', '2.a', {}));
  assert.deepEqual(told.views.map(({ channel }) => channel), ['campaign:c-1', 'campaign:c-2']);
  assert.deepEqual([...new Set(told.errors.map(({ code }) => code))], ['invalid_answer']);
});

test('of a list some may be refused, by name, and some may follow', async () => {
  const { clock, server, told, watch } = await liveStage(modern, 'system');
  server.isHelpful = false;
  for (const channel of ['campaign:c-1', 'campaign:c-2', 'campaign:c-3']) watch(channel);
  await settle();
  const socket = server.newest;
  socket.batch(
    { type: 'error', data: { code: 'forbidden', message: 'No.', action: 'subscribe', channel: 'campaign:c-2' } },
    { type: 'subscribed', channels: ['campaign:c-3'], timestamp: server.timestamp },
    socket.viewOf('campaign:c-1', '1.a', {}),
  );
  assert.deepEqual(told.errors.map(({ code, channel }) => [code, channel]), [['forbidden', 'campaign:c-2']]);
  await clock.pass(30_000);
  assert.equal(socket.actions('subscribe').length, 2, 'nothing is asked for again');
});

test('a batch that ends the socket is not read to its end', async () => {
  const { server, live, told } = await liveStage(modern, 'campaign:c-1');
  const socket = server.newest;
  told.views.length = 0;
  socket.batch(
    { type: 'error', data: { code: 'replaced', message: 'Another came.' } },
    socket.viewOf('campaign:c-1', '9.a', {}),
  );
  assert.equal(live.status, 'replaced');
  assert.deepEqual(told.views, []);
});

test('lists are as long as a message may be, and hold every channel once', () => {
  const channels = Array.from({ length: 250 }, (_, n) => `campaign:${'x'.repeat(n % 128)}${n}`);
  const all = lists(channels);
  assert.deepEqual(all.flat(), channels);
  for (const list of all) {
    assert.ok(list.length <= 100 && JSON.stringify({ action: 'unsubscribe', channels: list }).length < 8_192);
  }
  assert.ok(all.length < 10);
  assert.deepEqual(lists([]), []);
});
