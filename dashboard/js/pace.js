import { byId } from './dom.js';

/** How often what came is shown: as it comes, every few seconds, or when asked for. */
export class Pace {
  #settings;
  #show;
  #announce;
  #timer = 0;
  #live = null;
  #button = byId('refresh');
  #hasShown = false;

  /**
   * @param {import('./settings.js').Settings} settings
   * @param {() => void} show shows what there is
   * @param {(text: string) => void} announce for screen readers
   */
  constructor(settings, show, announce) {
    this.#settings = settings;
    this.#show = show;
    this.#announce = announce;
    const select = byId('pace');
    select.value = settings.get('pace');
    select.addEventListener('change', () => {
      settings.set('pace', select.value);
      this.#begin();
    });
    this.#button.addEventListener('click', () => void this.refresh());
    this.#begin();
  }

  /** @param {import('/clients/js/livefold.js').Livefold} live */
  follow(live) {
    this.#live = live;
  }

  /** Something came. What comes first is shown in any case. */
  came() {
    if (this.isLive || !this.#hasShown) this.#show();
  }

  /** It is on the screen. */
  shown() {
    this.#hasShown = true;
  }

  /** Whether what comes is shown when it comes. */
  get isLive() {
    return this.#settings.get('pace') === 'live';
  }

  /** Asks for everything, and shows it. */
  async refresh() {
    // Not `disabled`, which would take the focus from the button.
    if (this.#button.ariaDisabled === 'true') return;
    this.#button.ariaDisabled = 'true';
    const isDone = await this.#live?.refresh();
    this.#button.ariaDisabled = 'false';
    this.#show();
    this.#announce(isDone ? 'Refreshed' : 'Could not refresh');
  }

  #begin() {
    clearInterval(this.#timer);
    const pace = this.#settings.get('pace');
    if (pace === 'live') this.#show();
    else if (pace !== 'manual') this.#timer = setInterval(this.#show, Number(pace) * 1000);
  }
}
