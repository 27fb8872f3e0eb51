/** The code of a session's last pieces, kept in this browser: the server keeps what they printed, not what they were. */

const MOST_PIECES = 50;
const MOST_CHARACTERS = 20_000;

type Kept = { id: string; code: string }[];

export function keptCode(session: string): Map<string, string> {
  return new Map(read(session).map(({ id, code }) => [id, code]));
}

export function keepCode(session: string, execution: string, code: string): void {
  const kept = [...read(session), { id: execution, code: code.slice(0, MOST_CHARACTERS) }].slice(-MOST_PIECES);
  try {
    localStorage.setItem(place(session), JSON.stringify(kept));
  } catch {
    // A browser without room keeps nothing; the code is still in the page.
  }
}

export function dropCode(session: string): void {
  localStorage.removeItem(place(session));
}

function read(session: string): Kept {
  try {
    return JSON.parse(localStorage.getItem(place(session)) ?? '[]') as Kept;
  } catch {
    return []; // not ours, or of another version
  }
}

function place(session: string): string {
  return `kiln.console.${session}`;
}
