import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Local } from '../local.js';
import { Proxy } from '../proxy.js';
import { until } from '../until.js';
import { Witness } from '../witness.js';

/** @type {Local} */
let local;
/** Closed after each test. */
let open = [];
let tenants = 0;

before(async () => {
  local = await Local.start();
});

after(() => local?.stop());

afterEach(async () => {
  for (const one of open.reverse()) await one.close();
  open = [];
});

/** A tenant of its own for each test, with proxies before socket and REST, and a client behind them. */
async function scene({ tokenOf = (mint) => mint(), ...options } = {}) {
  const tenant = `tenant-${(tenants += 1)}`;
  const [sockets, rest] = [await Proxy.to(local.port), await Proxy.to(local.port)];
  const mint = (...others) => local.token('--tenant', tenant, '--user', tenant, ...others);
  const witness = new Witness({
    url: `ws://${sockets.address}/ws`,
    rest: `http://${rest.address}/api`,
    token: await tokenOf(mint),
    ...options,
  });
  open.push(sockets, rest, witness.live);
  const call = (campaign, type) => local.call(tenant, campaign, type);
  return { tenant, sockets, rest, mint, witness, live: witness.live, call };
}

/** Ends a campaign that has no calls going on: it leaves the list. */
async function complete(tenant, campaignId) {
  const send = (fields) => local.send('campaign.events.v1', campaignId, { tenantId: tenant, campaignId, ...fields });
  await send({ eventType: 'queue_sampled', activeCalls: 0 });
  await send({ eventType: 'campaign_status_changed', status: 'completed' });
}

const attempts = (count) => (view) => view.data.totalAttempts === count;

test('numbers produced to Kafka arrive at every kind of channel', async () => {
  const { tenant, witness, live, call } = await scene();
  witness.watch('campaigns', 'campaign:c-1', 'system', 'event:e-1');
  await witness.untilStatus('live');
  await witness.untilShown('event:e-1');
  await call('c-1');
  await call('c-2');
  await local.send('platform.analytics.events.v1', 'e-1', { type: 'MESSAGE_SENT', eventId: 'e-1', organizationId: tenant });
  await witness.untilShown('campaign:c-1', attempts(1));
  const view = await witness.untilShown('campaign:c-2', attempts(1));
  assert.equal(view.type, 'metrics_update');
  assert.equal(view.source, 'socket');
  assert.match(view.cursor, /^\d+\./);
  await witness.untilShown('event:e-1', ({ data }) => data.totalMessages === 1);
  await witness.untilShown('system', ({ data }) => data.activeCampaigns === 2);
  // What happened before the publisher first looked is no news.
  await until('a notice of a call', async () => {
    await call('c-1', 'call_answered');
    return witness.notices.some(({ type }) => type === 'call_event');
  });
  assert.ok(live.lastUpdate instanceof Date);
  assert.deepEqual(witness.statuses.map(({ status }) => status), ['live']);
  assert.deepEqual(witness.errors, []);
});

test('a channel that was unsubscribed from is silent, and the others go on', async () => {
  const { witness, live, call } = await scene();
  witness.watch('campaign:c-1');
  const silence = [];
  const unsubscribe = live.subscribe('campaign:c-2', (view) => silence.push(view));
  await call('c-1');
  await call('c-2');
  await until('the first view', () => silence.some(attempts(1)));
  unsubscribe();
  const before = silence.length;
  await call('c-2');
  await call('c-1');
  await witness.untilShown('campaign:c-1', attempts(2));
  assert.equal(silence.length, before);
});

test('a connection that is cut is opened again and resumes its subscriptions', async () => {
  const { sockets, witness, call } = await scene();
  witness.watch('campaign:c-1');
  await call('c-1');
  await witness.untilShown('campaign:c-1', attempts(1));
  sockets.cut();
  await until('the loss is told', () => witness.statuses.length === 2);
  const { status, previous, reason, retryAt } = witness.statuses[1];
  assert.deepEqual([status, previous, reason], ['reconnecting', 'live', 'socket_lost']);
  assert.ok(retryAt instanceof Date);
  await call('c-1');
  await witness.untilStatus('live');
  await witness.untilShown('campaign:c-1', attempts(2));
});

test('polling takes over while sockets are refused, and a socket when it can be had', async () => {
  const { sockets, rest, witness, call } = await scene();
  await sockets.refuse();
  witness.watch('campaign:c-1', 'campaigns');
  await call('c-1');
  await witness.untilStatus('polling');
  assert.equal((await witness.untilShown('campaign:c-1', attempts(1))).source, 'poll');
  await call('c-1');
  await witness.untilShown('campaign:c-1', attempts(2));
  // An unchanged view is asked for, and not sent again.
  await until('a 304', () => rest.log.some(({ sent, received }) => /if-none-match: "/i.test(sent) && received.includes(' 304 ')));
  await sockets.permit();
  await witness.untilStatus('live');
  await call('c-1');
  assert.equal((await witness.untilShown('campaign:c-1', attempts(3))).source, 'socket');
  assert.deepEqual(witness.errors.map(({ code }) => code), ['refused']);
});

test('what is offline says so, and comes back', async () => {
  const { sockets, rest, witness, call } = await scene();
  witness.watch('campaign:c-1');
  await witness.untilStatus('live');
  await Promise.all([sockets.refuse(), rest.refuse()]);
  const { reason } = await witness.untilStatus('offline');
  assert.ok(['refused', 'unreachable'].includes(reason), `${witness}`);
  await rest.permit();
  await witness.untilStatus('polling');
  await sockets.permit();
  await witness.untilStatus('live');
  await call('c-1');
  await witness.untilShown('campaign:c-1', attempts(1));
});

test('a socket that fell silent is found dead and replaced', async () => {
  const { sockets, witness, call } = await scene({ timings: { silence: 300, answerTimeout: 2_000, connectTimeout: 2_000 } });
  witness.watch('campaign:c-1');
  await witness.untilStatus('live');
  sockets.stall();
  // Nobody says that the connection is gone; polling shows what happens meanwhile.
  await witness.untilStatus('polling');
  assert.equal(witness.statuses.find(({ previous }) => previous === 'live').reason, 'socket_lost');
  await call('c-1');
  await witness.untilShown('campaign:c-1', attempts(1));
  sockets.cut();
  sockets.resume();
  await witness.untilStatus('live');
  await call('c-1');
  await witness.untilShown('campaign:c-1', attempts(2));
});

test('a handshake that is never answered is given up', async () => {
  const { sockets, witness, call } = await scene({ timings: { connectTimeout: 500, pollAfter: 60_000 } });
  sockets.stall();
  witness.watch('campaign:c-1');
  await call('c-1');
  await witness.untilStatus('polling');
  assert.deepEqual(witness.errors.map(({ code }) => code), ['timeout']);
  sockets.cut();
  sockets.resume();
  await witness.untilStatus('live');
});

test('a socket is replaced before its age ends it, without a gap', async () => {
  const { sockets, witness, call } = await scene({ timings: { renewSocketAfter: 1_500 } });
  witness.watch('campaigns', 'campaign:c-1', 'system');
  await witness.untilStatus('live');
  for (let count = 1; sockets.log.length < 4; count += 1) {
    await call('c-1');
    await witness.untilShown('campaign:c-1', attempts(count));
  }
  await until('the old sockets are closed', () => sockets.connections <= 2);
  assert.deepEqual(witness.statuses.map(({ status }) => status), ['live']);
  const counts = witness.views.filter(({ channel }) => channel === 'campaign:c-1').map(({ data }) => data.totalAttempts);
  assert.deepEqual(counts, counts.toSorted((a, b) => a - b), 'no number ever went back');
});

test('a token that is renewed in time never interrupts', async () => {
  let calls = 0;
  const { witness, call } = await scene({
    tokenOf: (mint) => () => {
      calls += 1;
      return mint('--ttl', '6s');
    },
  });
  witness.watch('campaign:c-1');
  await witness.untilStatus('live');
  // Well beyond the life of the first token and the server's leeway of five seconds.
  const end = Date.now() + 14_000;
  for (let count = 1; Date.now() < end; count += 1) {
    await call('c-1');
    await witness.untilShown('campaign:c-1', attempts(count));
  }
  assert.ok(calls >= 3, `the token function was called ${calls} times`);
  assert.deepEqual(witness.statuses.map(({ status }) => status), ['live']);
  assert.deepEqual(witness.errors, []);
});

test('an expired token ends in unauthorized, until the token function gives another', async () => {
  let token;
  const { mint, witness, call } = await scene({
    tokenOf: async (mint) => {
      token = await mint('--ttl', '1s');
      return () => token;
    },
  });
  witness.watch('campaign:c-1');
  const { reason } = await witness.untilStatus('unauthorized');
  assert.ok(['unauthorized', 'token_expired'].includes(reason), reason);
  assert.ok(witness.errors.every(({ help, message }) => help !== '' && !message.includes(token)));
  token = await mint();
  await witness.untilStatus('live');
  await call('c-1');
  await witness.untilShown('campaign:c-1', attempts(1));
});

test('a token that is wrong ends in unauthorized at once, which only reconnect() leaves where it is a string', async () => {
  const { witness, live } = await scene({ tokenOf: () => 'wrong.token.indeed' });
  witness.watch('system');
  await witness.untilStatus('unauthorized');
  assert.equal(live.retryAt, null);
  assert.deepEqual(witness.errors.map(({ code, help }) => [code, help]), [['unauthorized', 'Sign in again.']]);
  live.reconnect();
  assert.equal(live.status, 'connecting');
  await witness.untilStatus('unauthorized');
});

test('a token without the permission is forbidden', async () => {
  const { witness } = await scene({ tokenOf: (mint) => mint('--permission', 'other') });
  witness.watch('system');
  const { reason } = await witness.untilStatus('unauthorized');
  assert.equal(reason, 'forbidden');
});

test('the token is not in a handshake where the server gives tickets', async () => {
  const { sockets, witness, mint, rest } = await scene();
  await witness.untilStatus('live');
  const headers = { Authorization: `Bearer ${await mint()}` };
  const response = await fetch(`http://${rest.address}/api/auth/ticket`, { method: 'POST', headers });
  await response.body?.cancel();
  const [{ sent }] = sockets.log;
  assert.equal(/bearer\./i.test(sent), !response.ok);
  assert.equal(/\?ticket=/.test(sent), response.ok);
});

test('a campaign that leaves the list while it is polled is shown for the last time', async () => {
  const { tenant, sockets, witness, call } = await scene();
  await sockets.refuse();
  witness.watch('campaigns');
  await call('c-1');
  await call('c-2');
  await witness.untilShown('campaign:c-1');
  await witness.untilShown('campaign:c-2');
  await complete(tenant, 'c-2');
  const last = await witness.untilShown('campaign:c-2', ({ data }) => data.status === 'completed');
  assert.equal(last.source, 'poll');
});

test('a campaign that left while nobody listened is shown for the last time after reconnecting', async () => {
  const { tenant, sockets, rest, witness, call } = await scene();
  witness.watch('campaigns');
  await call('c-1');
  await witness.untilShown('campaign:c-1');
  await Promise.all([sockets.refuse(), rest.refuse()]);
  await witness.untilStatus('offline');
  await complete(tenant, 'c-1');
  await rest.permit();
  await sockets.permit();
  await witness.untilShown('campaign:c-1', ({ data }) => data.status === 'completed');
});

test('refresh shows every channel at once, while the socket is open', async () => {
  const { witness, live, call } = await scene();
  await call('c-1');
  witness.watch('campaign:c-1');
  await witness.untilShown('campaign:c-1', attempts(1));
  // An answer that the socket was faster than is dropped.
  await until('a view over REST', async () => {
    assert.equal(await live.refresh(), true);
    return witness.views.some(({ source }) => source === 'poll');
  });
});

test('without rest the token opens the socket, and an outage ends in offline and back', async () => {
  const { sockets, witness, call } = await scene({ rest: null });
  witness.watch('campaign:c-1');
  await witness.untilStatus('live');
  await sockets.refuse();
  await witness.untilStatus('offline');
  await sockets.permit();
  await witness.untilStatus('live');
  await call('c-1');
  await witness.untilShown('campaign:c-1', attempts(1));
});

test('close leaves nothing open', async () => {
  const { sockets, witness, live } = await scene();
  witness.watch('system');
  await witness.untilStatus('live');
  live.close();
  assert.equal(live.status, 'offline');
  await until('the socket is closed', () => sockets.connections === 0);
  live.reconnect();
  assert.equal(live.status, 'offline');
  assert.equal(await live.refresh(), false);
});
