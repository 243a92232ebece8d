import { byId } from './dom.js';

/**
 * Light, dark, or as the system has it.
 * @param {import('./settings.js').Settings} settings
 * @param {() => void} onChange charts are painted, and have to be painted again
 */
export function offerThemes(settings, onChange) {
  const select = byId('theme');
  select.value = settings.get('theme');
  const apply = () => {
    const theme = settings.get('theme');
    if (theme === 'system') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    onChange();
  };
  select.addEventListener('change', () => {
    settings.set('theme', select.value);
    apply();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', onChange);
  apply();
}
