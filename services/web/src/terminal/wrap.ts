/** How a line of text breaks into rows of so many columns. */

const ASCII = /^[\x20-\x7e]*$/;
// Wide by Unicode's East_Asian_Width, and emoji, which terminals draw two columns wide.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f265}\u{1f300}-\u{1f64f}\u{1f680}-\u{1f6ff}\u{1f900}-\u{1f9ff}\u{1fa70}-\u{1faff}\u{20000}-\u{3fffd}]/u;
const NONE = /[\p{Mn}\p{Me}\p{Cf}]/u;
const TAB = 8;

export function isAscii(text: string): boolean {
  return ASCII.test(text);
}

/** Number of rows; a blank line has one. */
export function rowCount(text: string, columns: number): number {
  if (text.length <= 1) return 1;
  return isAscii(text) ? Math.ceil(text.length / columns) : starts(text, columns).length;
}

/** Where each row begins in the text, which is not ASCII alone. */
export function starts(text: string, columns: number): number[] {
  const found = [0];
  let column = 0;
  let at = 0;
  for (const character of text) {
    const width = widthOf(character, column);
    if (column + width > columns && column > 0) {
      found.push(at);
      column = character === '\t' ? 0 : width;
    } else {
      column += width;
    }
    at += character.length;
  }
  return found;
}

function widthOf(character: string, column: number): number {
  if (character === '\t') return TAB - (column % TAB);
  if (character < '\u0300') return 1;
  if (NONE.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
