import { byId } from './dom.js';

/** Where a token that was typed in is kept: as long as the tab, and for no other. */
const KEY = 'livefold.token';

/** Told to the document when another token is used: what the one before opened may not be for this one's holder. */
export const TOKEN_CHANGED = 'livefold-token';

/** A request that takes longer is given up, in milliseconds; the client then asks again. */
const PATIENCE = 8_000;

/** Thrown where the viewer has to give a token first. */
export class NoToken extends Error {}

/** Where the page's token comes from: the local system gives one; elsewhere the viewer enters it. */
export class TokenSource {
  #url;
  #entered = null;

  /** @param {string | undefined} url of fresh tokens */
  constructor(url) {
    this.#url = url;
    try {
      this.#entered = sessionStorage.getItem(KEY);
    } catch {
      // No storage: then for this page only.
    }
  }

  /** Whether a token can be had without asking the viewer. */
  get isReady() {
    return Boolean(this.#entered || this.#url);
  }

  /** Whether the viewer's own token is used. */
  get isEntered() {
    return Boolean(this.#entered);
  }

  /** Whether tokens can be had from the local system. */
  get hasUrl() {
    return Boolean(this.#url);
  }

  /** A token for the client. */
  async token() {
    if (this.#entered) return this.#entered;
    if (!this.#url) throw new NoToken('A token has to be entered.');
    const answer = await fetch(this.#url, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) throw new Error(`The local system gives no token (${answer.status}).`);
    return (await answer.json()).token;
  }

  /** Uses the local system's tokens again, where there are any. */
  forget() {
    this.#keep(null);
  }

  /**
   * Asks the viewer.
   * @param {string} why
   * @param {() => void} onEntered
   */
  ask(why, onEntered) {
    const dialog = byId('token-dialog');
    const input = byId('token-input');
    const error = byId('token-error');
    byId('token-help').textContent = why;
    input.value = '';
    error.textContent = '';
    dialog.querySelector('[data-close]').onclick = () => dialog.close();
    dialog.querySelector('form').onsubmit = (event) => {
      // Pasted from a terminal or a header, it may be broken over lines or say "Bearer".
      const token = input.value.replace(/^\s*bearer\s+/i, '').replace(/\s+/g, '');
      if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) {
        event.preventDefault();
        error.textContent = 'This is no token: it has three parts with dots between them, and begins with "eyJ".';
        input.focus();
        return;
      }
      input.value = '';
      this.#keep(token);
      onEntered();
    };
    if (!dialog.open) dialog.showModal();
  }

  #keep(token) {
    this.#entered = token;
    try {
      if (token) sessionStorage.setItem(KEY, token);
      else sessionStorage.removeItem(KEY);
    } catch {
      // As above.
    }
    document.dispatchEvent(new Event(TOKEN_CHANGED));
  }
}
