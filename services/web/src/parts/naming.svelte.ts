/** Asks for a name, and does with it what it is for; what the server finds wrong with it is said beside it. */

export type Naming = {
  title: string;
  label: string;
  value: string;
  action: string;
  hint?: string;
  send: (name: string) => Promise<void>;
};

class Namings {
  current = $state.raw<Naming | null>(null);

  ask(naming: Naming): void {
    this.current = naming;
  }

  close(): void {
    this.current = null;
  }
}

export const namings = new Namings();
