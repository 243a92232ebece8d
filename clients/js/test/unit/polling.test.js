import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveStage, settle, shown, stage, untilRetry } from '../fakes.js';

const MINUTE = 60_000;

test('polling asks every two seconds for what changed', async () => {
  const { clock, server, rest, told, live, watch } = stage();
  let etag = '"1.a-00"';
  rest.answer = ({ path, headers }) => {
    if (!path.endsWith('campaign:c-1')) return new Response('', { status: 404 });
    return headers['If-None-Match'] === etag ? new Response(null, { status: 304 }) : shown({ n: etag }, etag);
  };
  watch('campaign:c-1');
  await settle();
  server.newest.drop();
  await settle();
  assert.equal(live.status, 'polling');
  assert.equal(rest.asked('campaign:c-1').length, 1);
  await clock.pass(2_000);
  assert.equal(rest.asked('campaign:c-1').at(-1).headers['If-None-Match'], '"1.a-00"');
  const { lastUpdate } = live;
  etag = '"2.a-00"';
  await clock.pass(2_000);
  assert.deepEqual(told.views.map(({ cursor, source, type }) => [cursor, source, type]), [
    ['1.a', 'poll', 'metrics_update'], ['2.a', 'poll', 'metrics_update'],
  ]);
  assert.ok(live.lastUpdate > lastUpdate);
  assert.equal(rest.asked('campaign:c-1').length, 3);
});

test('polling begins without a failure when a socket takes long, and ends when it is there', async () => {
  const { clock, server, rest, live, watch } = stage();
  rest.answer = ({ path }) => (path.includes('/channels/') ? shown({}) : new Response('', { status: 404 }));
  watch('system');
  await clock.pass(2_999);
  assert.equal(rest.asked('system').length, 0);
  await clock.pass(1);
  assert.equal(live.status, 'polling');
  server.newest.accept();
  assert.equal(live.status, 'live');
  const { length } = rest.requests;
  await clock.pass(MINUTE);
  assert.equal(rest.requests.length, length);
});

test('an answer that comes when a socket is open already is not waited for', async () => {
  const { clock, server, rest, told, live, watch } = stage();
  let answer;
  rest.answer = ({ path }) =>
    path.includes('/channels/') ? new Promise((resolve) => (answer = resolve)) : new Response('', { status: 404 });
  watch('campaign:c-1');
  await clock.pass(3_000);
  server.newest.accept();
  answer(shown({}, '"9.a-00"'));
  await settle();
  const { length } = rest.requests;
  await clock.pass(MINUTE);
  assert.equal(live.status, 'live');
  assert.deepEqual(told.views.map(({ source }) => source), ['socket']);
  assert.equal(rest.requests.length, length);
});

test('a server that counts anew is shown, by polling and by the socket after it', async () => {
  const { clock, server, rest, told, live, watch } = stage();
  let etag = '"500.a-00"';
  rest.answer = ({ path }) => (path.includes('/channels/') ? shown({}, etag) : new Response('', { status: 404 }));
  watch('campaign:c-1');
  await settle();
  server.newest.accept();
  server.newest.view('campaign:c-1', '900.a', {});
  server.newest.drop();
  await untilRetry({ clock, live });
  server.newest.drop();
  await settle();
  assert.equal(live.status, 'polling');
  etag = '"501.a-00"';
  await untilRetry({ clock, live });
  server.newest.accept();
  server.newest.view('campaign:c-1', '1.a', {});
  const numbers = told.views.map(({ cursor }) => Number.parseInt(cursor, 10));
  assert.deepEqual(numbers.filter((number) => number > 0), [900, 500, 501, 1]);
});

test('without a WebSocket class there is polling', async () => {
  const { clock, rest, told, live, watch } = stage({ WebSocket: null });
  rest.answer = () => shown({});
  watch('system');
  await clock.pass(MINUTE);
  assert.equal(live.status, 'polling');
  assert.equal(told.views.length, 31, 'one at once, and one every two seconds');
  assert.deepEqual(told.errors.map(({ code }) => code), ['no_websocket']);
});

test('polling obeys Retry-After, up to ten minutes', async () => {
  const { clock, server, rest, watch } = stage({ url: 'wss://example.com/ws' });
  let wait = '25';
  rest.answer = ({ path }) =>
    path.includes('/channels/')
      ? new Response('', { status: 429, headers: { 'retry-after': wait } })
      : new Response('', { status: 404 });
  watch('campaign:c-1');
  watch('campaign:c-2');
  await settle();
  server.newest.drop();
  await settle();
  const asked = () => rest.asked('campaign:c-1').length;
  assert.equal(asked(), 1);
  await clock.pass(24_999);
  assert.equal(asked(), 1);
  wait = '86400';
  await clock.pass(1);
  assert.equal(asked(), 2);
  await clock.pass(10 * MINUTE - 1);
  assert.equal(asked(), 2);
  await clock.pass(1);
  assert.equal(asked(), 3);
});

test('polling that fails slows down to thirty seconds and says offline', async () => {
  const { clock, server, rest, live, watch } = stage();
  rest.answer = () => Promise.reject(new TypeError('fetch failed at https://example.com/?ticket=secret'));
  watch('system');
  await settle();
  server.newest.drop();
  await clock.pass(5 * MINUTE);
  assert.equal(live.status, 'offline');
  const before = rest.asked('/channels/system').length;
  await clock.pass(5 * MINUTE);
  const inFiveMinutes = rest.asked('/channels/system').length - before;
  assert.ok(inFiveMinutes >= 8 && inFiveMinutes <= 30, `${inFiveMinutes} requests`);
});

test('a token that ends while polling is asked for anew, and refused if there is no other', async () => {
  let token = 'old';
  const { clock, server, rest, live, watch } = stage({ token: () => token });
  let accepted = 'old';
  rest.answer = ({ path, headers }) => {
    if (!path.includes('/channels/')) return new Response('', { status: 404 });
    return headers.Authorization === `Bearer ${accepted}` ? shown({}) : new Response('', { status: 401 });
  };
  watch('campaign:c-1');
  await settle();
  server.newest.drop();
  await settle();
  assert.equal(live.status, 'polling');
  token = accepted = 'new';
  await clock.pass(2_000);
  assert.equal(live.status, 'polling');
  accepted = 'another';
  await clock.pass(4_000);
  assert.equal(live.status, 'unauthorized');
});

test('many channels are polled more slowly: a user has six hundred requests a minute', async () => {
  const { clock, server, rest, watch } = stage();
  rest.answer = ({ path }) => (path.includes('/channels/') ? shown({}) : new Response('', { status: 404 }));
  for (let id = 0; id < 50; id += 1) watch(`campaign:c-${id}`);
  await settle();
  server.newest.drop();
  await settle();
  const before = rest.requests.length;
  await clock.pass(MINUTE);
  assert.ok(rest.requests.length - before <= 310, `${rest.requests.length - before} requests`);
});

test('a channel that is forbidden is told once, and the others are shown', async () => {
  const { clock, server, rest, live, told, watch } = stage();
  rest.answer = ({ path }) => {
    if (path.endsWith('campaign:theirs')) return new Response('', { status: 403 });
    return path.endsWith('campaign:ours') ? shown({}) : new Response('', { status: 404 });
  };
  watch('campaign:theirs');
  watch('campaign:ours');
  watch('event:unheard-of');
  await settle();
  server.newest.drop();
  await clock.pass(10_000);
  assert.equal(live.status, 'polling');
  const ofChannel = told.errors.filter(({ channel }) => channel).map(({ code, channel }) => [code, channel]);
  assert.deepEqual(ofChannel, [['forbidden', 'campaign:theirs']]);
  assert.deepEqual(new Set(told.views.map(({ channel }) => channel)), new Set(['campaign:ours']));
});

test('a polled list is told campaign by campaign, and who left it', async () => {
  const { clock, server, rest, told, watch } = stage();
  let list = ['c-1', 'c-2', 'c-3'];
  rest.answer = ({ path }) => {
    if (path.endsWith('/campaigns')) return shown(list.map((campaignId) => ({ campaignId, status: 'active' })), `"1.${list.length}-0"`);
    if (path.endsWith('c-2')) return shown({ campaignId: 'c-2', status: 'completed' }, '"9.a-0"');
    return new Response('', { status: 404 });
  };
  watch('campaigns');
  await settle();
  server.newest.drop();
  await settle();
  assert.deepEqual(told.views.map(({ channel, cursor }) => [channel, cursor]), list.map((id) => [`campaign:${id}`, null]));
  told.views.length = 0;
  list = ['c-1'];
  await clock.pass(2_000);
  assert.deepEqual(told.views.map(({ channel, type, data }) => [channel, type, data.status]), [
    ['campaign:c-1', 'metrics_update', 'active'],
    ['campaign:c-2', 'metrics_update', 'completed'],
    ['campaign:c-3', 'campaign_left', undefined],
  ]);
  await clock.pass(10_000);
  assert.equal(rest.asked('campaign:c-2').length, 1, 'asked for once');
});

test('a server that lists only active campaigns is asked for a paused one until its calls are over', async () => {
  const { clock, server, rest, told, watch } = stage();
  let list = [{ campaignId: 'c-1', status: 'active', activeCalls: 2 }];
  let activeCalls = 3;
  rest.answer = ({ path }) => {
    if (path.endsWith('/campaigns')) return shown(list, `"1.${list.length}-0"`);
    if (!path.endsWith('campaign:c-1')) return new Response('', { status: 404 });
    activeCalls -= 1;
    return shown({ campaignId: 'c-1', status: 'paused', activeCalls }, `"${9 - activeCalls}.a-0"`);
  };
  watch('campaigns');
  await settle();
  server.newest.drop();
  await settle();
  list = [];
  told.views.length = 0;
  await clock.pass(20_000);
  assert.deepEqual(told.views.map(({ data }) => data.activeCalls), [2, 1, 0]);
});

test('a paused campaign that the list names does not leave it', async () => {
  const { clock, server, rest, told, watch } = stage();
  const list = [{ campaignId: 'c-1', status: 'paused', activeCalls: 0 }];
  rest.answer = ({ path }) => (path.endsWith('/campaigns') ? shown(list) : new Response('', { status: 404 }));
  watch('campaigns');
  await settle();
  server.newest.drop();
  await clock.pass(10_000);
  assert.deepEqual(new Set(told.views.map(({ type }) => type)), new Set(['metrics_update']));
  assert.equal(rest.asked('campaign:c-1').length, 0);
});

test('a campaign that begins while the list is on its way is not taken for one that left', async () => {
  const { clock, server, rest, told, live } = await liveStage({}, 'campaigns');
  const { promise, resolve } = deferred();
  told.views.length = 0;
  rest.answer = ({ path }) => (path.endsWith('/campaigns') ? promise : shown({ campaignId: 'c-1', status: 'active' }));
  const refreshed = live.refresh();
  await clock.pass(10);
  server.newest.view('campaign:c-1', '1.a', { status: 'active' });
  resolve(shown([]));
  await clock.pass(10);
  await refreshed;
  assert.deepEqual(told.views.map(({ type, data }) => [type, data.status]), [['metrics_update', 'active']]);
});

test('who left the list during an outage is told a little after it', async () => {
  const { clock, server, rest, told, live } = await liveStage({}, 'campaigns');
  server.newest.view('campaign:c-1', '1.a', { status: 'active' });
  server.newest.view('campaign:c-2', '1.a', { status: 'active' });
  rest.answer = ({ path }) => {
    if (path.endsWith('/campaigns')) return shown([{ campaignId: 'c-1', status: 'active' }]);
    return path.endsWith('c-2') ? shown({ campaignId: 'c-2', status: 'completed' }) : new Response('', { status: 404 });
  };
  server.newest.drop();
  await untilRetry({ clock, live });
  server.newest.accept();
  told.views.length = 0;
  await clock.pass(2_999);
  assert.deepEqual(told.views, []);
  await clock.pass(1);
  await settle();
  assert.deepEqual(told.views.map(({ channel, data }) => [channel, data.status]), [['campaign:c-2', 'completed']]);
});

test('refresh never rejects and says whether it could be done', async () => {
  const { rest, live, told, watch } = stage();
  watch('system');
  rest.answer = () => shown({ n: 1 });
  assert.equal(await live.refresh(), true);
  assert.deepEqual(told.views.map(({ source }) => source), ['poll']);
  rest.answer = () => new Response('', { status: 503 });
  assert.equal(await live.refresh(), false);
  assert.equal(told.errors.at(-1).code, 'unavailable');
});

test('refresh without rest asks on the socket', async () => {
  const { server, live, told } = await liveStage({ rest: null }, 'campaign:c-1');
  assert.equal(await live.refresh(), true);
  assert.equal(server.newest.actions('subscribe').length, 2);
  assert.equal(told.views.length, 2);
});

/** A promise that is kept when it is told to. */
function deferred() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}
