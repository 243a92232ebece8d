import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Livefold } from '../../livefold.js';
import { liveStage, settle, stage } from '../fakes.js';

const HOUR = 3_600_000;
const MINUTE = 60_000;

test('options that make no sense are refused by name', () => {
  const good = { url: 'wss://example.com', token: 't', WebSocket: class {} };
  const bad = [
    [{ url: 'https://example.com' }, /url/],
    [{ url: 'nonsense' }, /URL/],
    [{ token: '' }, /token/],
    [{ token: undefined }, /token/],
    [{ WebSocket: undefined, window: {} }, /WebSocket/],
  ];
  for (const [change, message] of bad) {
    // Newer versions of Node have a WebSocket of their own.
    if ('WebSocket' in change && globalThis.WebSocket) continue;
    assert.throws(() => new Livefold({ ...good, ...change }), { name: 'TypeError', message }, JSON.stringify(change));
  }
});

test('a hidden page is paused if that was asked for, and resumes when it is seen', async () => {
  const window = Object.assign(new EventTarget(), { document: Object.assign(new EventTarget(), { visibilityState: 'visible' }) });
  const turn = (visibilityState) => {
    window.document.visibilityState = visibilityState;
    window.document.dispatchEvent(new Event('visibilitychange'));
  };
  const { clock, server, live, told } = await liveStage({ window, pauseWhenHidden: true }, 'system');
  turn('hidden');
  await clock.pass(9_000);
  turn('visible');
  await clock.pass(MINUTE);
  assert.equal(live.status, 'live', 'a short look elsewhere is none');
  turn('hidden');
  await clock.pass(10_000);
  assert.equal(live.status, 'offline');
  assert.equal(told.statuses.at(-1).reason, 'hidden');
  assert.equal(server.open.length, 0);
  await clock.pass(HOUR);
  assert.equal(clock.timers, 0);
  turn('visible');
  await settle();
  server.newest.accept();
  assert.equal(live.status, 'live');
  assert.deepEqual(server.newest.actions('subscribe').map(({ channel }) => channel), ['system']);
});

test('a hidden page that is not to be paused stays live, and is checked when it is seen', async () => {
  const document = Object.assign(new EventTarget(), { visibilityState: 'hidden' });
  const { clock, server, live } = await liveStage({ window: { document } });
  await clock.pass(50_000);
  assert.equal(live.status, 'live');
  const before = server.newest.actions('ping').length;
  document.visibilityState = 'visible';
  document.dispatchEvent(new Event('visibilitychange'));
  assert.equal(server.newest.actions('ping').length, before + 1);
});

test('close ends all timers, sockets and requests, whenever it comes', async () => {
  const moments = [
    async () => {},
    async ({ server }) => server.newest.accept(),
    async ({ server }) => server.newest.drop(),
    async ({ server, clock }) => {
      server.newest.drop();
      await clock.pass(1_500);
    },
  ];
  for (const until of moments) {
    const scene = stage();
    scene.watch('system');
    await settle();
    await until(scene);
    await settle();
    scene.live.close();
    scene.live.close();
    await settle();
    const { length } = scene.server.sockets;
    assert.equal(scene.clock.timers, 0);
    assert.equal(scene.server.open.length, 0);
    await scene.clock.pass(HOUR);
    assert.equal(scene.server.sockets.length, length);
    assert.equal(scene.live.status, 'offline');
  }
});

test('a closed client does not listen to its page any more', async () => {
  const window = Object.assign(new EventTarget(), { document: new EventTarget() });
  const { server, live } = await liveStage({ window, rest: null });
  live.close();
  window.dispatchEvent(new Event('online'));
  window.document.dispatchEvent(new Event('visibilitychange'));
  await settle();
  assert.equal(server.sockets.length, 1);
  let isHeard = false;
  Object.defineProperty(window.document, 'visibilityState', { get: () => (isHeard = true) });
  window.document.dispatchEvent(new Event('visibilitychange'));
  assert.equal(isHeard, false);
});

test('a close while the token is fetched opens nothing', async () => {
  let give;
  const { server, live, clock } = stage({ token: () => new Promise((resolve) => (give = resolve)) });
  await settle();
  live.close();
  give('token');
  await settle();
  assert.equal(server.sockets.length, 0);
  assert.equal(clock.timers, 0);
});

test('an event that is none is refused', () => {
  const { live } = stage();
  assert.throws(() => live.on('open', () => {}), TypeError);
  assert.throws(() => live.subscribe('system', undefined), TypeError);
});
