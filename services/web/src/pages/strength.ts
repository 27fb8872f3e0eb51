/** What the sign-up form says of a password as it is typed. The rules are the server's: length, and not a common one. */

const LEAST = 15;

export function strength(password: string): { missing: number; share: number; text: string } {
  const length = [...password].length;
  const missing = Math.max(0, LEAST - length);
  const share = Math.min(1, length / LEAST);
  if (length === 0) return { missing, share, text: `At least ${LEAST} characters; a few words you remember are best` };
  if (missing > 0) return { missing, share, text: `${missing} more to go` };
  return { missing, share, text: new Set(password).size < 5 ? 'Long enough, but easily guessed' : 'Long enough' };
}
