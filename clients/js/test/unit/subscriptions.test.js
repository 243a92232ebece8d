import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveStage, settle, stage } from '../fakes.js';

test('subscriptions are resumed on the next socket', async () => {
  const { clock, server } = await liveStage({ rest: null }, 'campaign:c-1', 'system');
  server.newest.drop();
  await clock.pass(1_000);
  server.newest.accept();
  assert.deepEqual(server.newest.actions('subscribe').map(({ channel }) => channel), ['campaign:c-1', 'system']);
});

test('subscribing and unsubscribing in one go says nothing', async () => {
  const { server, live } = await liveStage({}, 'system');
  const before = server.newest.sent.length;
  const handler = () => {};
  live.subscribe('campaign:c-1', handler);
  live.unsubscribe('campaign:c-1', handler);
  live.unsubscribe('system');
  live.subscribe('system', handler);
  await settle();
  assert.equal(server.newest.sent.length, before);
});

test('a channel is asked for once, and left when its last handler leaves', async () => {
  const { server, live } = await liveStage({}, 'campaign:c-1');
  const leave = live.subscribe('campaign:c-1', () => {});
  await settle();
  assert.equal(server.newest.actions('subscribe').length, 1);
  leave();
  await settle();
  assert.equal(server.newest.actions('unsubscribe').length, 0);
  live.unsubscribe('campaign:c-1');
  await settle();
  assert.deepEqual(server.newest.actions('unsubscribe'), [{ action: 'unsubscribe', channel: 'campaign:c-1' }]);
});

test('who unsubscribed from everything hears nothing on the next socket either', async () => {
  const { clock, server, live } = await liveStage({ rest: null }, 'system');
  live.unsubscribe('system');
  await settle();
  server.newest.drop();
  await clock.pass(1_000);
  server.newest.accept();
  assert.deepEqual(server.newest.actions('unsubscribe').map(({ channel }) => channel), ['campaigns', 'system']);
});

test('who just listens gets what the server sends by itself', async () => {
  const { server, told } = await liveStage({});
  server.newest.view('campaign:c-1', '1.a', {});
  server.newest.say({ type: 'call_event', channel: 'campaign:c-1', data: {}, cursor: '1.a' });
  assert.deepEqual(server.newest.actions('unsubscribe'), []);
  assert.deepEqual(told.messages.map(({ type }) => type), ['pong', 'metrics_update', 'call_event']);
  assert.deepEqual(told.notices.map(({ type }) => type), ['call_event']);
});

test('a view goes to the handlers of its campaign and of campaigns, once to each', async () => {
  const { server, live } = await liveStage({}, 'campaigns');
  const [one, all, late] = [[], [], []];
  live.subscribe('campaign:c-1', (view) => one.push(view.cursor));
  live.subscribe('campaigns', (view) => all.push(view.channel));
  await settle();
  server.newest.view('campaign:c-1', '5.a', { status: 'active' });
  server.newest.view('campaign:c-2', '1.a', { status: 'active' });
  assert.deepEqual(one.slice(1), ['5.a']);
  assert.deepEqual(all.slice(-2), ['campaign:c-1', 'campaign:c-2']);
  live.subscribe('campaigns', (view) => late.push(view.channel));
  await settle();
  assert.deepEqual(late.filter((channel) => channel.includes(':')), ['campaign:c-1', 'campaign:c-2'], 'a latecomer catches up');
});

test('handlers of campaigns see a campaign that leaves once more, and none that was never listed', async () => {
  const { server, live } = await liveStage({}, 'campaign:draft');
  const all = [];
  live.subscribe('campaigns', ({ channel, data }) => all.push([channel, data.status]));
  await settle();
  all.length = 0;
  server.newest.view('campaign:draft', '1.a', { status: 'draft' });
  server.newest.view('campaign:c-1', '1.a', { status: 'active' });
  server.newest.view('campaign:c-1', '2.a', { status: 'completed', activeCalls: 0 });
  server.newest.view('campaign:c-1', '3.a', { status: 'completed', activeCalls: 0 });
  assert.deepEqual(all, [['campaign:c-1', 'active'], ['campaign:c-1', 'completed']]);
});

test('handlers of campaigns see a paused campaign, and one that ends with calls going on, until those are over', async () => {
  const { server, live } = await liveStage({}, 'campaigns');
  const all = [];
  live.subscribe('campaigns', ({ data }) => all.push(`${data.status} ${data.activeCalls}`));
  await settle();
  all.length = 0;
  const views = [['paused', 13], ['paused', 12], ['paused', 0], ['active', 0], ['completed', 2], ['completed', 1]];
  for (const [place, [status, activeCalls]] of [...views, ['completed', 0], ['completed', 0]].entries()) {
    server.newest.view('campaign:c-1', `${place + 1}.a`, { status, activeCalls });
  }
  assert.deepEqual(all, [...views.map((view) => view.join(' ')), 'completed 0']);
});

test('a message that is older than what was shown is dropped', async () => {
  const { server, told } = await liveStage({}, 'campaign:c-1');
  for (const number of [3, 5, 4, 6]) server.newest.view('campaign:c-1', `${number}.a`, {});
  assert.deepEqual(told.views.map(({ cursor }) => cursor), ['0.', '3.a', '5.a', '6.a']);
});

test('after a reconnect a server may count from the beginning', async () => {
  const { clock, server, told } = await liveStage({ rest: null }, 'campaign:c-1');
  server.newest.view('campaign:c-1', '500.a', {});
  server.newest.drop();
  await clock.pass(1_000);
  server.newest.accept();
  server.newest.view('campaign:c-1', '2.a', {});
  assert.deepEqual(told.views.map(({ cursor }) => cursor), ['0.', '500.a', '0.', '2.a']);
});

test('subscriptions that could not be had at the moment are asked for again, one by one', async () => {
  const { clock, server, told, watch } = stage();
  server.isHelpful = false;
  for (const channel of ['campaign:c-1', 'campaign:c-2', 'campaign:c-3']) watch(channel);
  await settle();
  server.newest.accept();
  const asked = () => server.newest.actions('subscribe').map(({ channel }) => channel.at(-1)).join('');
  assert.equal(asked(), '123');
  for (let count = 0; count < 3; count += 1) server.newest.error('unavailable', 'subscribe');
  assert.deepEqual(told.errors.map(({ code }) => code), ['unavailable'], 'told once');
  server.newest.say({ type: 'pong' });
  await clock.pass(10_000);
  assert.equal(asked(), '1231');
  server.newest.view('campaign:c-1', '1.a', {});
  assert.equal(asked(), '12312', 'the next at once');
  server.newest.error('forbidden', 'subscribe');
  assert.equal(asked(), '123123', 'a refusal is for good');
  server.newest.view('campaign:c-3', '1.a', {});
  await clock.pass(30_000);
  assert.equal(asked(), '123123');
  const { code, channel, action } = told.errors.at(-1);
  assert.deepEqual([code, channel, action], ['forbidden', 'campaign:c-2', 'subscribe']);
});

test('a late unsubscribed of a channel that is wanted again is set right', async () => {
  const { server } = await liveStage({}, 'campaign:c-1');
  server.newest.say({ type: 'unsubscribed', channel: 'campaign:c-1' });
  assert.equal(server.newest.actions('subscribe').length, 2);
});

test('messages that nobody can read do no harm', async () => {
  const { server, live, told } = await liveStage({}, 'system');
  for (const text of ['', 'hello', '[]', 'null', '{}', '{"type":7}', '"x"', '{"message":7}']) server.newest.say(text);
  assert.equal(live.status, 'live');
  assert.ok(told.errors.every(({ code }) => code === 'invalid_answer'));
  server.newest.say('{"message":"Internal server error","connectionId":"x","requestId":"y"}');
  assert.equal(told.errors.at(-1).code, 'internal');
});
