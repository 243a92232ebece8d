import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveStage, settle, shown, stage, statuses, tokenUntil, untilRetry } from '../fakes.js';

const HOUR = 3_600_000;
const MINUTE = 60_000;

test('a ticket opens the socket, and the token stays out of the handshake', async () => {
  const { server, rest } = stage(({ rest }) => {
    rest.answer = ({ path }) => (path.endsWith('/auth/ticket') ? shown({ ticket: 't/1', expiresAt: '' }) : shown({}));
    return {};
  });
  await settle();
  assert.equal(server.newest.url, 'wss://example.com/ws?ticket=t%2F1');
  assert.deepEqual(server.newest.protocols, ['livefold.batch', 'livefold.v1']);
  assert.deepEqual(rest.requests[0], {
    path: '/api/auth/ticket', method: 'POST', headers: { Authorization: 'Bearer secret-token' },
  });
});

test('without tickets the token is a subprotocol', async () => {
  const { server } = stage();
  await settle();
  assert.equal(server.newest.url, 'wss://example.com/ws');
  assert.deepEqual(server.newest.protocols, ['livefold.batch', 'livefold.v1', 'bearer.secret-token']);
});

test('a ticket that is refused for a while is asked for when the server says', async () => {
  const { clock, server, rest, live } = stage(({ rest }) => {
    rest.answer = () => new Response('', { status: 429, headers: { 'retry-after': '40' } });
    return {};
  });
  await settle();
  assert.equal(live.retryAt.getTime() - clock.now(), 40_000);
  await clock.pass(39_999);
  assert.equal(rest.requests.length, 1);
  await clock.pass(1);
  assert.equal(rest.requests.length, 2);
  assert.equal(server.sockets.length, 0);
});

test('a token is renewed in place shortly before it ends', async () => {
  let calls = 0;
  const { clock, server, told } = await liveStage(({ clock }) => ({
    token: () => tokenUntil(clock.now() + HOUR, `user-${(calls += 1)}`),
  }));
  const first = clock.now();
  await clock.pass(59 * MINUTE - 1);
  assert.equal(calls, 1);
  await clock.pass(1);
  assert.equal(calls, 2);
  const [{ token }] = server.newest.actions('authenticate');
  assert.equal(token, tokenUntil(first + 59 * MINUTE + HOUR, 'user-2'));
  const expiresAt = new Date(clock.now() + 2 * MINUTE).toISOString();
  server.newest.say({ type: 'authenticated', data: { expiresAt } });
  await clock.pass(1.5 * MINUTE);
  assert.equal(calls, 3, 'as the server says, not as the token does');
  assert.equal(server.sockets.length, 1);
  assert.deepEqual(statuses(told), ['live']);
});

test('a clock that is wrong by hours does not end a good token', async () => {
  let calls = 0;
  const { clock, server, live } = stage(({ clock }) => ({
    token: () => tokenUntil(clock.now() - 3 * HOUR, `user-${(calls += 1)}`),
  }));
  await settle();
  Object.defineProperty(server, 'timestamp', { get: () => new Date(clock.now() - 4 * HOUR).toISOString() });
  server.newest.accept();
  await clock.pass(58 * MINUTE);
  assert.equal(calls, 1);
  assert.equal(live.status, 'live');
});

test('a server that does not renew gets a new socket with the new token', async () => {
  let calls = 0;
  const { clock, server, told } = await liveStage(({ clock }) => ({
    rest: null,
    token: () => tokenUntil(clock.now() + HOUR, `user-${(calls += 1)}`),
  }), 'system');
  await clock.pass(59 * MINUTE);
  server.newest.error('unknown_action');
  await settle();
  assert.equal(server.sockets.length, 2);
  assert.equal(calls, 2, 'the token that was not taken in place opens the new socket');
  server.newest.accept();
  assert.equal(server.sockets[0].readyState, 3);
  await clock.pass(10 * MINUTE);
  assert.deepEqual(statuses(told), ['live']);
  assert.deepEqual(told.errors, []);
});

test('a token that cannot be renewed is tried until it ends, and the end is told', async () => {
  let isBroken = false;
  let calls = 0;
  const { clock, server, live, told } = await liveStage(({ clock }) => ({
    rest: null,
    token: () => {
      calls += 1;
      if (isBroken) throw new Error('no network');
      return tokenUntil(clock.now() + HOUR);
    },
  }));
  isBroken = true;
  await clock.pass(59 * MINUTE);
  assert.ok(calls > 1);
  await clock.pass(MINUTE);
  assert.equal(live.status, 'reconnecting');
  assert.equal(told.statuses.at(-1).reason, 'token_expired');
  assert.ok(calls < 20, `${calls} calls`);
  isBroken = false;
  await untilRetry({ clock, live });
  server.newest.accept();
  assert.equal(live.status, 'live');
});

test('revoked access is unauthorized, and left when the token function gives another token', async () => {
  let token = 'first';
  const { clock, server, live, told } = await liveStage({ rest: null, token: () => token });
  server.newest.error('revoked');
  assert.deepEqual(told.errors.map(({ code, help }) => [code, help]), [['revoked', 'The access was withdrawn. Sign in again.']]);
  server.newest.drop();
  assert.equal(live.status, 'unauthorized');
  assert.equal(told.statuses.at(-1).reason, 'revoked');
  await clock.pass(HOUR);
  assert.equal(server.sockets.length, 1, 'the same token is not tried again');
  assert.equal(live.status, 'unauthorized');
  token = 'second';
  await untilRetry({ clock, live });
  assert.deepEqual(server.newest.protocols, ['livefold.batch', 'livefold.v1', 'bearer.second']);
  server.newest.accept();
  assert.equal(live.status, 'live');
});

test('a refused token that is a string is tried again by reconnect alone', async () => {
  let status = 401;
  const { clock, rest, live } = stage(({ rest }) => {
    rest.answer = () => new Response('', { status });
    return {};
  });
  await clock.pass(HOUR);
  assert.equal(live.status, 'unauthorized');
  assert.equal(rest.requests.length, 1);
  assert.equal(live.retryAt, null);
  assert.equal(clock.timers, 0);
  status = 404;
  live.reconnect();
  assert.equal(live.status, 'connecting');
  await settle();
  assert.equal(rest.requests.length, 2);
});

test('without rest a refused socket with a token that has ended is unauthorized', async () => {
  const { server, live } = stage(({ clock }) => ({ rest: null, token: tokenUntil(clock.now() - 1_000) }));
  await settle();
  server.newest.drop();
  await settle();
  assert.equal(live.status, 'unauthorized');
});

test('a token that has ended by the server\'s clock is not tried again', async () => {
  const { clock, server, live, told } = await liveStage(({ clock }) => ({
    rest: null,
    token: tokenUntil(clock.now() + HOUR),
  }));
  await clock.pass(2 * HOUR);
  assert.equal(live.status, 'unauthorized');
  assert.equal(server.sockets.length, 1);
  assert.deepEqual(told.errors.map(({ code }) => code), ['token_expired']);
});

test('a token function that fails for a while is called again', async () => {
  let isBroken = true;
  const { clock, server, live, told } = stage({
    token: async () => {
      if (isBroken) throw new Error('secret');
      return 'token';
    },
  });
  await clock.pass(10_000);
  assert.equal(live.status, 'offline');
  assert.deepEqual(told.errors.map(({ code }) => code), ['token_unavailable']);
  isBroken = false;
  await untilRetry({ clock, live });
  server.newest.accept();
  assert.equal(live.status, 'live');
});

test('a subscription that the token does not open any more ends the connection', async () => {
  const { server, live, watch } = await liveStage({ rest: null }, 'campaign:c-1');
  server.isHelpful = false;
  watch('campaign:c-2');
  await settle();
  server.newest.error('unauthorized', 'subscribe');
  assert.equal(live.status, 'reconnecting');
});

test('channels that a new token does not open are told', async () => {
  const { clock, server, told } = await liveStage(({ clock }) => ({ token: () => tokenUntil(clock.now() + HOUR) }), 'campaign:c-1', 'system');
  await clock.pass(59 * MINUTE);
  const data = { expiresAt: new Date(clock.now() + HOUR).toISOString(), unsubscribed: ['system'] };
  server.newest.say({ type: 'authenticated', data });
  assert.deepEqual(told.errors.map(({ code, channel }) => [code, channel]), [['forbidden', 'system']]);
});

test('what the body of a refusal says is told, if it is one of Livefold\'s codes', async () => {
  const refusals = [
    [JSON.stringify({ success: false, error: { code: 'revoked', message: 'Access was revoked.' } }), 'revoked'],
    ['{"error":{"code":"teapot"}}', 'unauthorized'],
    ['<html>', 'unauthorized'],
  ];
  for (const [body, code] of refusals) {
    const { told } = stage(({ rest }) => {
      rest.answer = () => new Response(body, { status: 401 });
      return {};
    });
    await settle();
    assert.deepEqual(told.statuses.map(({ status, reason }) => [status, reason]), [['unauthorized', code]]);
  }
});

test('no error ever holds a token, a ticket or an address', async () => {
  const failing = (ending) => stage(({ rest }) => {
    rest.answer = () => shown({ ticket: 'secret-ticket' });
    return { token: 'secret-token', ...ending };
  });
  const throwing = failing({
    WebSocket: class {
      constructor(url, protocols) {
        throw new SyntaxError(`bad ${url} ${protocols}`);
      }
    },
  });
  const repeating = failing({});
  await settle();
  repeating.server.newest.accept();
  repeating.server.newest.say({ type: 'error', data: { code: 'internal', message: 'I saw secret-token.' } });
  repeating.server.newest.say('secret-token, not JSON');
  repeating.server.newest.drop();
  for (const { told } of [throwing, repeating]) {
    assert.notEqual(told.errors.length, 0);
    assert.doesNotMatch(JSON.stringify([told.errors, told.statuses]), /secret|example\.com/);
  }
});
