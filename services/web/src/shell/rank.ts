/** Which commands a few typed letters mean, the likeliest first. */
import type { Command } from '../state/commands.svelte';

export function rank(commands: readonly Command[], wanted: string): Command[] {
  const letters = wanted.trim().toLowerCase();
  if (letters === '') return [...commands];
  return commands
    .map((command) => ({ command, points: points(`${command.name} ${command.group}`.toLowerCase(), letters) }))
    .filter(({ points }) => points > 0)
    .sort((left, right) => right.points - left.points)
    .map(({ command }) => command);
}

/** At the beginning, at a word, anywhere, or the letters in order; 0 when not. */
function points(text: string, letters: string): number {
  const at = text.indexOf(letters);
  if (at === 0) return 4;
  if (at > 0) return text[at - 1] === ' ' ? 3 : 2;
  let from = 0;
  for (const letter of letters) {
    from = text.indexOf(letter, from) + 1;
    if (from === 0) return 0;
  }
  return 1;
}
