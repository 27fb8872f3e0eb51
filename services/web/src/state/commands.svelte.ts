/** What the command palette offers: each page adds its own while it is shown. */

import { untrack } from 'svelte';

export type Command = { name: string; group: string; keys?: string; run: () => void };

class Commands {
  /** The palette is shown. */
  open = $state(false);
  list = $state.raw<Command[]>([]);

  /** Offers these until the returned function is called. */
  offer(commands: Command[]): () => void {
    untrack(() => (this.list = [...this.list, ...commands]));
    return () => untrack(() => (this.list = this.list.filter((command) => !commands.includes(command))));
  }
}

export const commands = new Commands();
/** How this machine names the key that goes with a letter for a command. */
export const modifier = /Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl';
