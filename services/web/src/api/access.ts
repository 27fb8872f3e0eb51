/** The access token: in memory only, made anew from the HttpOnly cookie. One tab at a time asks, for each cookie is good once. */
import { ApiProblem } from './problem';
import type { Tokens } from './schema';

/** A token with less life than this is not used any more. */
const SPARE_MS = 30_000;

type Held = { token: string; until: number };

let held: Held | null = null;
let asking: Promise<string | null> | null = null;

export function hold(tokens: Tokens): void {
  held = { token: tokens.access_token, until: Date.now() + tokens.expires_in * 1000 };
}

export function forget(): void {
  held = null;
}

/** A token that is good now; null when nobody is signed in. Throws when the server cannot be reached. */
export async function accessToken(): Promise<string | null> {
  if (held && held.until - Date.now() > SPARE_MS) return held.token;
  asking ??= refreshAlone().finally(() => (asking = null));
  return asking;
}

/** Drops a token that the server refused, so that the next one is new. */
export function refused(token: string | null): void {
  if (held?.token === token) held = null;
}

async function refreshAlone(): Promise<string | null> {
  return isSecureContext ? await navigator.locks.request('kiln.refresh', refresh) : await refresh();
}

async function refresh(): Promise<string | null> {
  for (let attempt = 0; ; attempt += 1) {
    const response = await fetch('/api/v1/auth/refresh', { method: 'POST', credentials: 'same-origin' }).catch(() => {
      throw ApiProblem.unreachable();
    });
    if (response.ok) {
      hold((await response.json()) as Tokens);
      return held?.token ?? null;
    }
    if (response.status !== 401) throw await ApiProblem.of(response);
    // Where there are no locks, another tab may have spent the cookie a moment ago; then a newer one is there already.
    if (isSecureContext || attempt > 0) return null;
  }
}
