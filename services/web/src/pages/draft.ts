/** The code that somebody is writing, kept in this browser until it is written over: by account and tenant. */
import { session } from '../state/session.svelte';

export type Draft = { code: string; runtime: string | null };

export function readDraft(): Draft | null {
  try {
    return JSON.parse(localStorage.getItem(place()) ?? 'null') as Draft | null;
  } catch {
    return null; // not ours, or of another version
  }
}

export function keepDraft(draft: Draft): void {
  try {
    localStorage.setItem(place(), JSON.stringify(draft));
  } catch {
    // A browser without room keeps nothing; the text is still in the page.
  }
}

function place(): string {
  return `kiln.draft.${session.me?.user.id}.${session.me?.tenant.id}`;
}
