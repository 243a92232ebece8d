import { byId } from './dom.js';

/** How often what came is shown: as it comes, every few seconds, or when asked for. */
export class Pace {
  #settings;
  #show;
  #timer = 0;
  #live = null;
  #button = byId('refresh');
  #hasShown = false;

  /**
   * @param {import('./settings.js').Settings} settings
   * @param {() => void} show shows what there is
   */
  constructor(settings, show) {
    this.#settings = settings;
    this.#show = show;
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
    if (this.#settings.get('pace') === 'live' || !this.#hasShown) this.#show();
  }

  /** It is on the screen. */
  shown() {
    this.#hasShown = true;
  }

  /** Asks for everything, and shows it. */
  async refresh() {
    this.#button.disabled = true;
    await this.#live?.refresh();
    this.#button.disabled = false;
    this.#show();
  }

  #begin() {
    clearInterval(this.#timer);
    const pace = this.#settings.get('pace');
    if (pace === 'live') this.#show();
    else if (pace !== 'manual') this.#timer = setInterval(this.#show, Number(pace) * 1000);
  }
}
