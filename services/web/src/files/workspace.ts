/** The calls on one workspace's files. Paths go into addresses part by part, whatever they are made of. */
import { api, ask, authorized } from '../api/client';
import { ApiProblem } from '../api/problem';
import type { WorkspaceFile } from '../api/schema';
import { encode } from './paths';

const PAGE = 200;

export function fileAddress(workspace: string, path: string): string {
  return `/api/v1/workspaces/${workspace}/files/${encode(path)}`;
}

/** One level of a directory, up to so many entries; directories first, then by name. */
export async function list(workspace: string, path: string, most: number): Promise<{ entries: WorkspaceFile[]; more: boolean }> {
  const entries: WorkspaceFile[] = [];
  let cursor: string | null = null;
  do {
    const query: { path?: string; limit: number; cursor?: string } = { limit: PAGE, ...(path ? { path } : {}), ...(cursor ? { cursor } : {}) };
    const page = await ask(api.GET('/api/v1/workspaces/{id}/files', { params: { path: { id: workspace }, query } }));
    entries.push(...page.data);
    cursor = page.next_cursor ?? null;
  } while (cursor !== null && entries.length < most);
  const rank = (entry: WorkspaceFile) => (entry.kind === 'directory' ? 0 : 1);
  entries.sort((left, right) => rank(left) - rank(right) || left.path.localeCompare(right.path, undefined, { numeric: true }));
  return { entries, more: cursor !== null };
}

/** The file, or its first bytes. */
export async function read(workspace: string, path: string, most?: number, signal?: AbortSignal): Promise<Blob> {
  const headers: Record<string, string> = most === undefined ? {} : { range: `bytes=0-${most - 1}` };
  const response = await authorized(new Request(fileAddress(workspace, path), { headers, ...(signal ? { signal } : {}) }));
  // An empty file has no first byte.
  if (response.status === 416) return new Blob([]);
  if (!response.ok) throw await ApiProblem.of(response);
  return response.blob();
}

export async function remove(workspace: string, path: string, recursive: boolean): Promise<void> {
  const response = await authorized(new Request(`${fileAddress(workspace, path)}${recursive ? '?recursive=true' : ''}`, { method: 'DELETE' }));
  if (!response.ok) throw await ApiProblem.of(response);
}

export async function move(workspace: string, path: string, to: string, overwrite: boolean): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const response = await authorized(new Request(`${fileAddress(workspace, path)}/move`, { method: 'POST', headers, body: JSON.stringify({ to, overwrite }) }));
  if (!response.ok) throw await ApiProblem.of(response);
}

export async function makeDirectory(workspace: string, path: string): Promise<void> {
  await ask(api.POST('/api/v1/workspaces/{id}/files', { params: { path: { id: workspace } }, body: { path, kind: 'directory' } }));
}
