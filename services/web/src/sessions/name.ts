/** How a session is called: by its name, as its notebook's, or by the end of its id. */
import type { Session } from '../api/schema';

const OF_NOTEBOOK = /^notebook ([0-9a-f-]{36})$/;

/** The name under which a notebook finds its session again. */
export function nameForNotebook(id: string): string {
  return `notebook ${id}`;
}

/** The notebook whose session it is, if it is one's. */
export function notebookOf(session: Session): string | null {
  return OF_NOTEBOOK.exec(session.name)?.[1] ?? null;
}

export function sessionName(session: Session): string {
  const notebook = notebookOf(session);
  return notebook ? `Of a notebook, ${notebook.slice(-8)}` : session.name || `Session ${session.id.slice(-8)}`;
}
