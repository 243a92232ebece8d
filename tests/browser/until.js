import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';

/** How long a condition may take, in milliseconds: generous, for nothing is measured here. */
export const PATIENCE = 30_000;

/** Waits for a condition; what it gives is the answer. */
export async function until(what, condition, patience = PATIENCE) {
  const deadline = Date.now() + patience;
  for (;;) {
    const answer = await condition();
    if (answer) return answer;
    assert.ok(Date.now() < deadline, `in vain: ${what}`);
    await pause(25);
  }
}
