/** What a run left, saved as files of the person's. */
import { saveFrom } from '../parts/save';

export async function saveFile(execution: string, path: string): Promise<void> {
  const parts = path.split('/').map(encodeURIComponent).join('/');
  await saveFrom(`/api/v1/executions/${execution}/files/${parts}`, path.split('/').pop() ?? 'file');
}

export async function saveStream(execution: string, stream: 'stdout' | 'stderr'): Promise<void> {
  await saveFrom(`/api/v1/executions/${execution}/${stream}`, `${execution}.${stream}.txt`);
}
