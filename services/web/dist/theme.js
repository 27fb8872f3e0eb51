// Before the first paint: the theme that was chosen in this browser, if one was.
try {
  const theme = localStorage.getItem('kiln.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing follows the system.
}
