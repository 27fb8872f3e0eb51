/** Notebooks on the server. */
import { authorized } from '../api/client';
import { ApiProblem } from '../api/problem';
import type { Content } from './format';
import type { Store, Stored } from './saving.svelte';

export type Told = { id: string; name: string; runtime: string; workspace_id: string | null; updated_at: string; run_state: string | null; content: unknown };

export function notebookAddress(id: string): string {
  return `/api/v1/notebooks/${encodeURIComponent(id)}`;
}

/** The whole notebook with its tag, or null when it is still what the tag names. */
export async function readNotebook(id: string, known: string | null): Promise<{ told: Told; etag: string } | null> {
  const headers: Record<string, string> = known ? { 'if-none-match': known } : {};
  const response = await authorized(new Request(notebookAddress(id), { headers, cache: 'no-store' }));
  if (response.status === 304) return null;
  if (!response.ok) throw await ApiProblem.of(response);
  return { told: (await response.json()) as Told, etag: response.headers.get('etag') ?? '' };
}

/** The store of one notebook; `told` hears everything that is not its content. */
export function storeOf(id: string, heard: (told: Told) => void): Store {
  return {
    async read(known): Promise<Stored | null> {
      const read = await readNotebook(id, known);
      if (!read) return null;
      heard(read.told);
      return { content: read.told.content, etag: read.etag };
    },
    async write(content: Content, etag: string): Promise<Stored> {
      const headers = { 'content-type': 'application/json', 'if-match': etag };
      const response = await authorized(new Request(notebookAddress(id), { method: 'PUT', headers, body: JSON.stringify({ content }) }));
      if (!response.ok) throw await ApiProblem.of(response);
      const told = (await response.json()) as Told;
      heard(told);
      return { content: told.content, etag: response.headers.get('etag') ?? '' };
    },
  };
}
