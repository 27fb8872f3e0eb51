/** How a session is called: by its name, or by the end of its id where it has none. */
import type { Session } from '../api/schema';

export function sessionName(session: Session): string {
  return session.name || `Session ${session.id.slice(-8)}`;
}
