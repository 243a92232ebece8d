import assert from 'node:assert/strict';
import { test } from 'node:test';
import { liveStage, settle, shown, stage } from '../fakes.js';

const RANGE = { from: '2026-01-15T09:30:00Z', to: new Date('2026-01-15T10:30:00Z'), step: 'minute' };

const POINT = { at: '2026-01-15T10:30:00.000Z', values: { totalAttempts: 12, activeCalls: null } };

const PAST = { channel: 'campaign:c-1', from: '2026-01-15T09:30:00.000Z', to: '2026-01-15T10:30:00.000Z', step: 'minute', points: [POINT] };

const refused = (status, code) =>
  new Response(JSON.stringify({ success: false, error: { code, message: `It is ${code}.` } }), { status });

/** How the question ends: the error's code, or the points. */
const outcome = (question) => question.then(({ points }) => points, ({ code, name }) => code ?? name);

test('history is asked for with the token, and given as the server tells it', async () => {
  const { live, rest } = stage();
  rest.answer = ({ path }) => (path.endsWith('/history') ? shown(PAST) : refused(404, 'not_found'));
  assert.deepEqual(await live.history('campaign:c-1', RANGE), PAST);
  const [{ path, query, method, headers }] = rest.asked('/history');
  assert.equal(path, '/api/channels/campaign:c-1/history');
  assert.deepEqual(query, { from: PAST.from, to: PAST.to, step: 'minute' });
  assert.deepEqual([method, headers.Authorization], ['GET', 'Bearer secret-token']);
});

test('whose days are meant is said where it was said', async () => {
  const { live, rest } = stage();
  rest.answer = () => shown(PAST);
  await live.history('campaign:c-1', { ...RANGE, step: 'day', timeZone: 'Europe/Berlin' });
  assert.equal(rest.asked('/history')[0].query.timeZone, 'Europe/Berlin');
});

test('a question that fails is rejected as an error of the client, and nobody else is told', async () => {
  const { live, rest, told } = await liveStage({}, 'system');
  const answers = [
    ['not_found', () => refused(404, 'not_found')],
    ['invalid_request', () => refused(400, 'invalid_request')],
    ['forbidden', () => refused(403, 'forbidden')],
    ['unavailable', () => new Response('<html>', { status: 502 })],
    ['invalid_answer', () => shown({ points: 'none' })],
    ['unreachable', () => Promise.reject(new TypeError('fetch failed at https://example.com'))],
  ];
  for (const [code, answer] of answers) {
    rest.answer = answer;
    await assert.rejects(live.history('campaign:c-1', RANGE), (error) => {
      assert.deepEqual([error.name, error.code, error.channel], ['LivefoldError', code, 'campaign:c-1']);
      assert.ok(error.help && !error.message.includes('example.com'), code);
      return true;
    });
  }
  assert.deepEqual(told.errors, []);
  assert.equal(live.status, 'live');
});

test('an answer that does not come is given up', async () => {
  const { clock, live, rest } = await liveStage({}, 'system');
  rest.answer = () => new Promise(() => {});
  const question = outcome(live.history('campaign:c-1', RANGE));
  await clock.pass(60_000);
  assert.equal(await question, 'timeout');
});

test('a token that was refused is replaced by another, once', async () => {
  let last = 0;
  const { live, rest } = stage({ token: () => `token-${(last += 1)}`, WebSocket: null });
  await settle();
  const old = `Bearer token-${last}`;
  rest.answer = ({ headers }) => (headers.Authorization === old ? refused(401, 'unauthorized') : shown(PAST));
  assert.deepEqual(await outcome(live.history('campaign:c-1', RANGE)), [POINT]);
  rest.answer = () => refused(401, 'revoked');
  const { length } = rest.asked('/history');
  assert.equal(await outcome(live.history('campaign:c-1', RANGE)), 'revoked');
  assert.equal(rest.asked('/history').length, length + 2);
});

test('no error ever holds the token', async () => {
  const { live, rest } = stage();
  await settle();
  const message = 'secret-token is not welcome';
  rest.answer = () => new Response(JSON.stringify({ success: false, error: { code: 'forbidden', message } }), { status: 403 });
  await assert.rejects(live.history('campaign:c-1', RANGE), { message: '… is not welcome' });
});

test('a question can be taken back, and ends with the client', async () => {
  const { live, rest } = stage();
  await settle();
  rest.answer = () => new Promise(() => {});
  const aborter = new AbortController();
  const taken = outcome(live.history('campaign:c-1', { ...RANGE, signal: aborter.signal }));
  const open = outcome(live.history('campaign:c-1', RANGE));
  aborter.abort();
  assert.equal(await taken, 20, 'the code of an AbortError');
  await settle();
  live.close();
  assert.equal(await open, 'closed');
  const { length } = rest.requests;
  assert.equal(await outcome(live.history('campaign:c-1', RANGE)), 'closed');
  assert.equal(rest.requests.length, length);
});

test('without REST there is no history, and a range that is none is refused by name', async () => {
  const { live } = stage({ rest: null });
  assert.equal(await outcome(live.history('campaign:c-1', RANGE)), 'no_rest');
  await assert.rejects(live.history('campaign:c-1', { ...RANGE, to: 'tomorrow' }), { name: 'TypeError', message: /^to is/ });
});
