/** Saves something as a file of the person's. */
import { authorized } from '../api/client';
import { ApiProblem } from '../api/problem';

/** What is at that address of the API, under a name. */
export async function saveFrom(address: string, name: string): Promise<void> {
  const response = await authorized(new Request(address));
  if (!response.ok) throw await ApiProblem.of(response);
  offer(await response.blob(), name);
}

export function saveText(text: string, name: string): void {
  offer(new Blob([text], { type: 'text/plain;charset=utf-8' }), name);
}

function offer(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken hold of it by the next task.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
