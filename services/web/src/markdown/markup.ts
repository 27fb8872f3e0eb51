/** What the Markdown toolbar does to a text and what is chosen in it. */

export type Edit = { text: string; from: number; to: number };
export type Mark = 'heading' | 'bold' | 'italic' | 'code' | 'list' | 'link';

const AROUND: Partial<Record<Mark, [string, string]>> = { bold: ['**', 'bold'], italic: ['*', 'italic'], code: ['`', 'code'] };

/** The text after it, and what is then chosen: the same words, without the signs. */
export function mark(kind: Mark, text: string, from: number, to: number): Edit {
  const around = AROUND[kind];
  if (around) return wrap(text, from, to, around[0], around[1]);
  if (kind === 'link') {
    const words = text.slice(from, to) || 'words';
    const made = `[${words}](https://)`;
    const at = from + words.length + 3;
    return { text: text.slice(0, from) + made + text.slice(to), from: at, to: at + 'https://'.length };
  }
  return lines(kind, text, from, to);
}

function wrap(text: string, from: number, to: number, sign: string, word: string): Edit {
  const long = sign.length;
  if (text.slice(from - long, from) === sign && text.slice(to, to + long) === sign) {
    return { text: text.slice(0, from - long) + text.slice(from, to) + text.slice(to + long), from: from - long, to: to - long };
  }
  const words = text.slice(from, to) || word;
  return { text: text.slice(0, from) + sign + words + sign + text.slice(to), from: from + long, to: from + long + words.length };
}

/** Each chosen line becomes an item, or the first a heading one smaller; once more and it is none. */
function lines(kind: Mark, text: string, from: number, to: number): Edit {
  const begin = text.lastIndexOf('\n', from - 1) + 1;
  const end = text.indexOf('\n', to) < 0 ? text.length : text.indexOf('\n', to);
  const chosen = text.slice(begin, end).split('\n');
  const all = chosen.every((line) => line.startsWith('- '));
  const changed = kind === 'heading' ? [nextHeading(chosen[0] ?? ''), ...chosen.slice(1)] : chosen.map((line) => (all ? line.slice(2) : `- ${line}`));
  const joined = changed.join('\n');
  return { text: text.slice(0, begin) + joined + text.slice(end), from: begin, to: begin + joined.length };
}

function nextHeading(line: string): string {
  const level = /^(#{1,6})\s/.exec(line)?.[1]?.length ?? 0;
  const rest = line.replace(/^#{1,6}\s+/, '');
  return level >= 3 ? rest : `${'#'.repeat(level + 1)} ${rest}`;
}
