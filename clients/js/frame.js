import { Failure } from './failure.js';

/** @typedef {import('./livefold.js').Message} Message */

/**
 * The messages of a frame: one, or several in a batch. What is none of Livefold's is a failure in its place, and loses none of
 * the others.
 * @param {unknown} text
 * @returns {Array<Message | Failure>}
 */
export function messagesOf(text) {
  let frame;
  try {
    frame = JSON.parse(String(text));
  } catch {
    return [invalid()];
  }
  if (frame?.type === 'batch' && Array.isArray(frame.messages)) return frame.messages.map(asMessage);
  return [asMessage(frame)];
}

/**
 * @param {any} message
 * @returns {Message | Failure}
 */
function asMessage(message) {
  if (typeof message?.type === 'string') return message;
  // What API Gateway says when a function failed.
  if (typeof message?.message !== 'string') return invalid();
  return { type: 'error', data: { code: 'internal', message: 'The server failed.' }, timestamp: '' };
}

function invalid() {
  return new Failure('invalid_answer', 'A message is not one of Livefold\'s.');
}
