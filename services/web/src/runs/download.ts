/** Saves what is on the server as a file of the person's, under its own name. */
import { authorized } from '../api/client';
import { ApiProblem } from '../api/problem';

export async function saveFile(execution: string, path: string): Promise<void> {
  const parts = path.split('/').map(encodeURIComponent).join('/');
  await save(`/api/v1/executions/${execution}/files/${parts}`, path.split('/').pop() ?? 'file');
}

export async function saveStream(execution: string, stream: 'stdout' | 'stderr'): Promise<void> {
  await save(`/api/v1/executions/${execution}/${stream}`, `${execution}.${stream}.txt`);
}

export function saveText(text: string, name: string): void {
  offer(new Blob([text], { type: 'text/plain;charset=utf-8' }), name);
}

async function save(address: string, name: string): Promise<void> {
  const response = await authorized(new Request(address));
  if (!response.ok) throw await ApiProblem.of(response);
  offer(await response.blob(), name);
}

function offer(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken hold of it by the next task.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
