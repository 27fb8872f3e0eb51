/** How a stretch of output looks: the SGR attributes of ECMA-48, kept once each and named by a number. */

export interface Style {
  /** A palette number (0-255) or `#rrggbb`; null is the default. */
  fg: number | string | null;
  bg: number | string | null;
  bold: boolean;
  dim: boolean;
  italic: boolean;
  underline: boolean;
  strike: boolean;
  inverse: boolean;
  /** Printed on standard error. */
  stderr: boolean;
  /** What the person typed. */
  typed: boolean;
}

export const PLAIN: Style = {
  fg: null, bg: null, bold: false, dim: false, italic: false, underline: false, strike: false, inverse: false,
  stderr: false, typed: false,
};

/** Styles that were seen; a program that makes up more true colours than this gets the plain one. */
const MOST = 4096;

export class Palette {
  private readonly styles: Style[] = [PLAIN];
  private readonly numbers = new Map<string, number>([[JSON.stringify(PLAIN), 0]]);

  number(style: Style): number {
    const key = JSON.stringify(style);
    const known = this.numbers.get(key);
    if (known !== undefined) return known;
    if (this.styles.length >= MOST) return 0;
    this.styles.push(style);
    this.numbers.set(key, this.styles.length - 1);
    return this.styles.length - 1;
  }

  style(number: number): Style {
    return this.styles[number] ?? PLAIN;
  }
}

/** The style after `ESC [ parameters m`. */
export function select(style: Style, parameters: readonly number[]): Style {
  let next = { ...style };
  const list = parameters.length > 0 ? parameters : [0];
  for (let at = 0; at < list.length; at += 1) {
    const code = list[at] ?? 0;
    if (code === 38 || code === 48) {
      const [colour, used] = extended(list, at + 1);
      if (code === 38) next.fg = colour;
      else next.bg = colour;
      at += used;
    } else if (code === 0) next = { ...PLAIN, stderr: style.stderr, typed: style.typed };
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 7) next.inverse = true;
    else if (code === 9) next.strike = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code === 27) next.inverse = false;
    else if (code === 29) next.strike = false;
    else if (code >= 30 && code <= 37) next.fg = code - 30;
    else if (code === 39) next.fg = null;
    else if (code >= 40 && code <= 47) next.bg = code - 40;
    else if (code === 49) next.bg = null;
    else if (code >= 90 && code <= 97) next.fg = code - 82;
    else if (code >= 100 && code <= 107) next.bg = code - 92;
  }
  return next;
}

/** `5;n` or `2;r;g;b` after 38 or 48, and how many parameters that took. */
function extended(list: readonly number[], at: number): [number | string | null, number] {
  const byte = (offset: number) => Math.min(255, Math.max(0, list[at + offset] ?? 0));
  if (list[at] === 5) return [byte(1), 2];
  if (list[at] === 2) return [`#${[byte(1), byte(2), byte(3)].map((part) => part.toString(16).padStart(2, '0')).join('')}`, 4];
  return [null, 0];
}

/** A colour for CSS: the sixteen named ones follow the theme, the others are xterm's. */
export function cssColour(colour: number | string): string {
  if (typeof colour === 'string') return colour;
  if (colour < 16) return `var(--ansi-${colour})`;
  if (colour >= 232) {
    const grey = 8 + (colour - 232) * 10;
    return `rgb(${grey} ${grey} ${grey})`;
  }
  const cube = [0, 95, 135, 175, 215, 255];
  const at = colour - 16;
  return `rgb(${cube[Math.floor(at / 36)]} ${cube[Math.floor(at / 6) % 6]} ${cube[at % 6]})`;
}
