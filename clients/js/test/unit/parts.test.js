import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff } from '../../backoff.js';
import { Alarm } from '../../clock.js';
import { compare, Shown } from '../../cursor.js';
import { Failure } from '../../failure.js';
import { Handlers } from '../../handlers.js';
import { cursorOf, retryAfter } from '../../rest.js';
import { isListed, Roster } from '../../roster.js';
import { statusOf } from '../../status.js';
import { expiry, Token } from '../../token.js';
import { FakeClock, tokenUntil } from '../fakes.js';

test('the ceiling of the wait doubles from a second to thirty, and the wait is anything below', () => {
  const highest = new Backoff(1_000, 30_000, () => 1);
  assert.deepEqual(Array.from({ length: 7 }, () => highest.next()), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  const lowest = new Backoff(1_000, 30_000, () => 0);
  assert.deepEqual(Array.from({ length: 3 }, () => lowest.next()), [0, 0, 0]);
});

test('after two thousand failures the wait is still a number', () => {
  const backoff = new Backoff(1_000, 30_000, () => 0.5);
  for (let count = 0; count < 2_000; count += 1) backoff.next();
  assert.equal(backoff.next(), 15_000);
  backoff.reset();
  assert.equal(backoff.next(), 500);
});

test('an alarm that waits for a year does not go off at once', async () => {
  const clock = new FakeClock();
  const alarm = new Alarm(clock);
  alarm.set(365 * 24 * 3_600_000, () => {});
  assert.equal(alarm.at, clock.now() + 2 ** 31 - 1);
});

test('cursors are ordered by their number, however long it is', () => {
  const ascending = ['0.', '5.MS90', '10.aa', '9007199254740993.a', '9007199254740994.a', '18446744073709551615.z'];
  for (const [index, cursor] of ascending.entries()) {
    assert.equal(compare(cursor, cursor), 0);
    for (const greater of ascending.slice(index + 1)) {
      assert.ok(compare(cursor, greater) < 0 && compare(greater, cursor) > 0, `${cursor} < ${greater}`);
    }
  }
  assert.equal(compare('5.a', '5.b'), 0);
});

const SOCKET = {};

function view(cursor, second, { source = 'socket', updatedAt } = {}) {
  const timestamp = new Date(second * 1000).toISOString();
  return { channel: 'campaign:c-1', type: 'metrics_update', data: { updatedAt }, timestamp, cursor, source };
}

test('a view is dropped if a newer one was shown', () => {
  const shown = new Shown();
  assert.ok(shown.take(view('5.a', 10), SOCKET, 0));
  assert.ok(!shown.take(view('4.a', 11), SOCKET, 0), 'fewer records');
  assert.ok(!shown.take(view('5.a', 9), SOCKET, 0), 'as many records, made earlier');
  assert.ok(shown.take(view('5.a', 11), SOCKET, 0), 'a rate decayed');
  assert.ok(shown.take(view('6.a', 10), SOCKET, 0), 'more records, whatever the clock says');
});

test('after a reconnect the first view is taken as it comes, and then order holds again', () => {
  const shown = new Shown();
  shown.take(view('5.a', 10), SOCKET, 0);
  shown.restart();
  assert.ok(shown.take(view('1.a', 12), {}, 0));
  assert.ok(shown.take(view('2.a', 13), {}, 0));
  assert.ok(!shown.take(view('1.a', 12), SOCKET, 0));
});

test('of two sockets the one that counts anew is told by the time', () => {
  const shown = new Shown();
  shown.take(view('5.a', 10), SOCKET, 0);
  assert.ok(!shown.take(view('4.a', 9), {}, 0));
  assert.ok(shown.take(view('1.a', 11), {}, 0));
});

test('a polled view that may be older than what came meanwhile is dropped', () => {
  const shown = new Shown();
  shown.take(view('5.a', 10), SOCKET, 1_000);
  assert.ok(!shown.take(view('5.a', 10, { source: 'poll' }), 900, 1_100), 'asked for before');
  assert.ok(shown.take(view('5.a', 10, { source: 'poll' }), 1_001, 1_100), 'asked for after');
  assert.ok(shown.take(view('5.a', 3), SOCKET, 1_200), 'clocks of client and server are not compared');
  assert.ok(!shown.take(view('4.a', 30, { source: 'poll' }), 2_000, 2_100));
});

test('a campaign of a polled list is ordered by its latest record', () => {
  const shown = new Shown();
  shown.take(view('5.a', 10, { updatedAt: '2026-01-15T10:30:05Z' }), SOCKET, 1_000);
  const polled = (updatedAt) => view(null, 11, { source: 'poll', updatedAt });
  assert.ok(!shown.take(polled('2026-01-15T10:30:04Z'), 2_000, 2_100));
  assert.ok(shown.take(polled('2026-01-15T10:30:06Z'), 2_000, 2_100));
});

test('no more than a thousand channels are remembered', () => {
  const shown = new Shown();
  for (let id = 0; id < 1_500; id += 1) shown.take({ ...view('1.a', 1), channel: `campaign:c-${id}` }, SOCKET, 0);
  assert.equal(shown.views.length, Shown.LIMIT);
  assert.equal(shown.views.at(-1).channel, 'campaign:c-1499');
});

test('the roster tells who left, and is bounded', () => {
  const roster = new Roster();
  const [active, paused, completed] = ['active', 'paused', 'completed'].map((status) => ({ status, activeCalls: 0 }));
  assert.ok(roster.note('a', active, 1) && roster.note('b', {}, 1));
  assert.ok(!roster.note('c', { status: 'draft' }, 1), 'never shown, of no interest');
  assert.ok(roster.note('a', paused, 1) && roster.note('a', paused, 1), 'paused ones are shown');
  assert.ok(roster.note('a', { ...completed, activeCalls: 1 }, 1), 'a call goes on');
  assert.ok(roster.note('a', completed, 1), 'its last view');
  assert.ok(!roster.note('a', completed, 1));
  assert.deepEqual(roster.leave(['x'], 1), [], 'it came as late as the question');
  assert.deepEqual(roster.leave(['x'], 2), ['b']);
  for (let id = 0; id < 1_500; id += 1) roster.note(`c-${id}`, active, 2);
  assert.equal(roster.leave([], 3).length, Roster.LIMIT);
});

test('a campaign is on the list while it is active or paused, and while calls are going on', () => {
  const cases = [
    [{ status: 'active', activeCalls: 0 }, true],
    [{ status: 'paused', activeCalls: 0 }, true],
    [{ status: 'completed', activeCalls: 1 }, true],
    [{ status: 'completed', activeCalls: 0 }, false],
    [{ status: 'scheduled', activeCalls: null }, false],
    [{ status: 'draft' }, false],
  ];
  for (const [campaign, isOn] of cases) assert.equal(isListed(campaign), isOn, JSON.stringify(campaign));
});

test('the cursor is read from an entity tag, also from one that a proxy weakened', () => {
  assert.equal(cursorOf('"15.MS90LzA9NCwx-b35b9264"'), '15.MS90LzA9NCwx');
  assert.equal(cursorOf('W/"0.47DEQ_pj-BSa-b35b9264"'), '0.47DEQ_pj-BSa');
  assert.equal(cursorOf('"0.-b35b9264"'), '0.');
  for (const other of ['', '"abc"', '"15"', '"x.y-z"']) assert.equal(cursorOf(other), null, other);
});

test('Retry-After is seconds or a date', () => {
  const now = Date.parse('2026-01-15T10:30:00Z');
  assert.equal(retryAfter('7', now), 7_000);
  assert.equal(retryAfter('Thu, 15 Jan 2026 10:30:30 GMT', now), 30_000);
  assert.equal(retryAfter('Thu, 15 Jan 2026 10:29:00 GMT', now), 0);
  for (const other of [null, '', 'soon']) assert.equal(retryAfter(other, now), undefined, other);
});

test('the end of a token is read from a JWT, and from nothing else', () => {
  assert.equal(expiry(tokenUntil(1_768_473_000_000)), 1_768_473_000_000);
  for (const other of ['', 'opaque', 'a.b.c', 'e30.e30.x']) assert.equal(expiry(other), null, other);
});

test('a token function that fails, hangs or gives nothing is told without its own words', async () => {
  const clock = new FakeClock();
  const sources = [
    () => Promise.reject(new Error('secret')),
    () => {
      throw new Error('secret');
    },
    () => '',
    () => undefined,
    () => new Promise(() => {}),
  ];
  for (const source of sources) {
    const asked = assert.rejects(new Token(source, clock, 1_000).fresh(), (error) => {
      return error.code === 'token_unavailable' && !`${error.message}${error.stack}`.includes('secret');
    });
    await clock.pass(1_000);
    await asked;
  }
  assert.equal(clock.timers, 0);
});

test('a handler that throws keeps no other from being told', async (context) => {
  const handlers = new Handlers();
  const told = [];
  handlers.add('x', () => {
    throw new Error('mine');
  });
  handlers.add('x', (value) => told.push(value));
  const later = context.mock.method(globalThis, 'queueMicrotask', () => {});
  handlers.tell('x', 1);
  assert.deepEqual(told, [1]);
  assert.throws(later.mock.calls[0].arguments[0], /mine/, 'and is seen as what nobody caught');
});

test('the status is told by what is so', () => {
  const facts = {
    stopped: '', isLive: false, isRefused: false, isPolled: null, isOffline: false, isFirst: true, failures: 0,
  };
  const cases = [
    [{}, 'connecting'],
    [{ isFirst: false }, 'reconnecting'],
    [{ isFirst: false, failures: 2 }, 'reconnecting'],
    [{ isFirst: false, failures: 3 }, 'offline'],
    [{ failures: 9, isPolled: true }, 'polling'],
    [{ failures: 1, isPolled: false }, 'offline'],
    [{ isOffline: true }, 'offline'],
    [{ isLive: true, isOffline: true, isRefused: true }, 'live'],
    [{ isRefused: true, isPolled: true }, 'unauthorized'],
    [{ stopped: 'closed', isLive: true }, 'offline'],
    [{ stopped: 'replaced', isPolled: true }, 'replaced'],
  ];
  for (const [change, status] of cases) assert.equal(statusOf({ ...facts, ...change }), status, JSON.stringify(change));
});

test('every code of the protocol has a help', async () => {
  const { readFile } = await import('node:fs/promises');
  const protocol = await readFile(new URL('../../../../docs/protocol.md', import.meta.url), 'utf8');
  const codes = [...protocol.matchAll(/^\| `([a-z_]+)` \| \d{3} \|/gm)].map(([, code]) => code);
  assert.ok(codes.length >= 12);
  for (const code of codes) assert.notEqual(new Failure(code, '').help, '', code);
});
