/** What this browser remembers for its person: looks and drafts, never credentials. */

export type Theme = 'system' | 'light' | 'dark';

class Preferences {
  theme = $state<Theme>((localStorage.getItem('kiln.theme') as Theme | null) ?? 'system');
  fontSize = $state(Number(localStorage.getItem('kiln.editor.font') ?? 13));
  wrap = $state(localStorage.getItem('kiln.editor.wrap') === 'yes');

  setTheme(theme: Theme): void {
    this.theme = theme;
    if (theme === 'system') {
      localStorage.removeItem('kiln.theme');
      delete document.documentElement.dataset['theme'];
    } else {
      localStorage.setItem('kiln.theme', theme);
      document.documentElement.dataset['theme'] = theme;
    }
  }

  setFontSize(pixels: number): void {
    this.fontSize = Math.min(24, Math.max(10, pixels));
    localStorage.setItem('kiln.editor.font', String(this.fontSize));
  }

  setWrap(wrap: boolean): void {
    this.wrap = wrap;
    localStorage.setItem('kiln.editor.wrap', wrap ? 'yes' : 'no');
  }
}

export const preferences = new Preferences();
