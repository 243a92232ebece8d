// Runs before anything is drawn, so that a theme chosen by hand does not flash up as the other one. The rest: theme.js.
try {
  const { theme } = JSON.parse(localStorage.getItem('livefold.settings') ?? '{}');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // No storage, or not ours: the system's theme it is.
}
