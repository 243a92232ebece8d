import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveStage, settle, shown, stage, statuses, untilRetry } from '../fakes.js';

const HOUR = 3_600_000;
const MINUTE = 60_000;

test('attempts that fail wait longer each time, up to thirty seconds, and never end', async () => {
  const { clock, server, live } = stage({ rest: null });
  const waits = [];
  for (let attempt = 0; attempt < 9; attempt += 1) {
    await settle();
    server.newest.drop();
    await settle();
    waits.push(live.retryAt - clock.now());
    await clock.pass(waits.at(-1));
  }
  assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000]);
  assert.equal(live.status, 'offline');
  await clock.pass(HOUR);
  server.newest.accept();
  assert.equal(live.status, 'live');
});

test('a socket that is accepted and lost at once does not make a client hurry', async () => {
  const { clock, server, live } = stage({ rest: null });
  for (const wait of [1_000, 2_000, 4_000]) {
    await settle();
    server.newest.accept();
    server.newest.drop();
    assert.equal(live.retryAt - clock.now(), wait);
    await clock.pass(wait);
  }
  await settle();
  server.newest.accept();
  await clock.pass(10_000);
  server.newest.drop();
  assert.equal(live.retryAt - clock.now(), 1_000, 'this one was a good one');
});

test('a connection that is merely cut sends nobody to REST', async () => {
  const { clock, server, rest, live, told } = await liveStage({}, 'campaign:c-1');
  server.newest.drop();
  await untilRetry({ clock, live });
  server.newest.accept();
  await clock.pass(10_000);
  assert.deepEqual(statuses(told), ['live', 'reconnecting', 'live']);
  assert.deepEqual(new Set(rest.requests.map(({ path }) => path)), new Set(['/api/auth/ticket']));
});

test('an outage is told once', async () => {
  const { clock, server, live, told } = stage({ rest: null });
  for (let attempt = 0; attempt < 5; attempt += 1) {
    await settle();
    server.newest.drop();
    await untilRetry({ clock, live });
  }
  assert.deepEqual(told.errors.map(({ code }) => code), ['refused']);
  assert.deepEqual(statuses(told), ['reconnecting', 'offline']);
});

test('a silent connection is asked after a minute, and given up ten seconds later', async () => {
  const { clock, server, live } = await liveStage({ rest: null }, 'system');
  assert.equal(server.newest.actions('ping').length, 1, 'at the start');
  await clock.pass(59_999);
  assert.equal(server.newest.actions('ping').length, 1);
  server.isHelpful = false;
  await clock.pass(1);
  assert.equal(server.newest.actions('ping').length, 2);
  await clock.pass(9_999);
  assert.equal(live.status, 'live');
  await clock.pass(1);
  assert.equal(live.status, 'reconnecting');
  assert.equal(server.open.length, 0);
});

test('a connection that is never silent sends a ping every five minutes', async () => {
  const { clock, server } = await liveStage({}, 'system');
  for (let second = 0; second < 900; second += 1) {
    await clock.pass(1_000);
    server.newest.view('system', `${second}.a`, {});
  }
  assert.equal(server.newest.actions('ping').length, 1 + 3);
});

test('before two hours a new socket takes over, once it has its subscriptions', async () => {
  const { clock, server, told } = await liveStage({ rest: null, random: () => 0 }, 'campaign:c-1', 'system');
  const [old] = server.sockets;
  await clock.pass(110 * MINUTE - 1);
  assert.equal(server.sockets.length, 1);
  await clock.pass(1);
  const fresh = server.newest;
  server.isHelpful = false;
  fresh.accept();
  assert.deepEqual(fresh.actions('subscribe').map(({ channel }) => channel), ['campaign:c-1', 'system']);
  fresh.say({ type: 'call_event', channel: 'campaign:c-1', data: {} });
  old.say({ type: 'call_event', channel: 'campaign:c-1', data: {} });
  assert.equal(told.notices.length, 1, 'told by the old one only');
  fresh.view('campaign:c-1', '0.', {});
  assert.equal(old.readyState, 1, 'one subscription still waits');
  fresh.view('system', '0.', {});
  assert.equal(old.readyState, 3);
  fresh.say({ type: 'call_event', channel: 'campaign:c-1', data: {} });
  assert.equal(told.notices.length, 2);
  assert.deepEqual(statuses(told), ['live']);
});

test('sockets are replaced at different ages', async () => {
  const { clock, server } = await liveStage({ rest: null, random: () => 1 });
  await clock.pass(99 * MINUTE);
  assert.equal(server.newest.readyState, 0, 'a tenth sooner at most');
});

test('if the new socket is refused the old one stays, and is replaced a little later', async () => {
  const { clock, server, live } = await liveStage({ rest: null, random: () => 1 }, 'system');
  await clock.pass(99 * MINUTE);
  server.newest.drop();
  await settle();
  assert.equal(live.status, 'live');
  assert.ok(live.retryAt > clock.now());
  await clock.pass(30_000);
  server.newest.accept();
  assert.equal(server.open.length, 1);
  assert.equal(server.open[0], server.newest);
});

test('if the old socket ends first the new one takes its place at once', async () => {
  const { clock, server, told } = await liveStage({ rest: null, random: () => 1 }, 'system');
  await clock.pass(99 * MINUTE);
  server.isHelpful = false;
  server.newest.accept();
  server.sockets[0].drop();
  assert.deepEqual(statuses(told), ['live']);
  server.newest.view('system', '1.a', {});
  assert.equal(told.views.at(-1).cursor, '1.a');
});

test('a server that says to slow down is heard, and the socket stays', async () => {
  const { server, live, told } = await liveStage({}, 'system');
  server.newest.error('rate_limited');
  assert.equal(live.status, 'live');
  assert.deepEqual(told.errors.map(({ code }) => code), ['rate_limited']);
});

test('a network that comes back is used at once', async () => {
  const window = Object.assign(new EventTarget(), { navigator: { onLine: true } });
  const { clock, server, live } = await liveStage({ window, rest: null });
  server.isHelpful = false;
  window.navigator.onLine = false;
  window.dispatchEvent(new Event('offline'));
  await clock.pass(10_000);
  assert.equal(live.status, 'offline', 'the connection was checked, and is gone');
  for (let attempt = 0; attempt < 6; attempt += 1) {
    await clock.pass(30_000);
    server.newest.drop();
  }
  await settle();
  const { length } = server.sockets;
  window.navigator.onLine = true;
  window.dispatchEvent(new Event('online'));
  await settle();
  assert.equal(server.sockets.length, length + 1);
  server.newest.accept();
  assert.equal(live.status, 'live');
});

test('of attempts that overtake each other one opens a socket', async () => {
  const tickets = [];
  const { server, live } = stage(({ rest }) => {
    rest.answer = () => new Promise((resolve) => tickets.push(resolve));
    return {};
  });
  await settle();
  live.reconnect();
  await settle();
  assert.equal(tickets.length, 2);
  for (const [index, give] of tickets.entries()) give(shown({ ticket: `t-${index}` }));
  await settle();
  assert.deepEqual(server.sockets.map(({ url }) => url), ['wss://example.com/ws?ticket=t-1']);
});

test('reconnect while live opens the new socket first', async () => {
  const { server, live, told } = await liveStage({}, 'system');
  live.reconnect();
  await settle();
  assert.equal(server.sockets[0].readyState, 1);
  server.newest.accept();
  assert.equal(server.sockets[0].readyState, 3);
  assert.deepEqual(statuses(told), ['live']);
});

test('a client whose place was given to another says so, and does not come again by itself', async () => {
  const window = Object.assign(new EventTarget(), {
    document: Object.assign(new EventTarget(), { visibilityState: 'visible' }),
  });
  const { clock, server, rest, live, told } = await liveStage({ window }, 'system');
  server.newest.error('replaced');
  assert.equal(server.open.length, 0, 'it makes room at once');
  assert.deepEqual(told.statuses.at(-1), { status: 'replaced', previous: 'live', reason: 'replaced', retryAt: null });
  assert.equal(told.errors.at(-1).code, 'replaced');
  server.newest.drop();
  const { length } = rest.requests;
  window.dispatchEvent(new Event('online'));
  window.document.dispatchEvent(new Event('visibilitychange'));
  await clock.pass(HOUR);
  assert.deepEqual([server.sockets.length, rest.requests.length, live.status], [1, length, 'replaced']);
  live.reconnect();
  await settle();
  server.newest.accept();
  assert.equal(live.status, 'live');
  assert.deepEqual(server.newest.actions('subscribe').map(({ channel }) => channel), ['system']);
});

test('a client whose own next socket took the place of its old one goes on', async () => {
  const { clock, server, live, told } = await liveStage({ rest: null, random: () => 1 }, 'system');
  await clock.pass(99 * MINUTE);
  server.sockets[0].error('replaced');
  server.newest.accept();
  assert.equal(live.status, 'live');
  assert.ok(!statuses(told).includes('replaced'));
  assert.deepEqual(told.errors, []);
});
