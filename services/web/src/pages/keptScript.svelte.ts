/** The script that is open in the playground: kept under a name on the server, saved only over what was read. */
import { api, ask, authorized } from '../api/client';
import { ApiProblem } from '../api/problem';
import { confirm } from '../parts/confirm.svelte';
import { namings } from '../parts/naming.svelte';
import { toasts } from '../state/toasts.svelte';

type Script = { id: string; name: string; code: string; runtime: string };

export class KeptScript {
  open = $state.raw<Script | null>(null);
  private etag = '';

  async load(id: string): Promise<Script> {
    const response = await authorized(new Request(address(id)));
    if (!response.ok) throw await ApiProblem.of(response);
    return this.take(response);
  }

  forget(): void {
    this.open = null;
  }

  /** Under the name it has; under one that is asked for, where it has none. */
  async save(code: string, runtime: string, made: (id: string) => void): Promise<void> {
    if (!this.open) {
      namings.ask({
        title: 'Save as script', label: 'Name', value: '', action: 'Save', hint: 'Everybody in the tenant finds it under Scripts',
        send: async (name) => {
          const script = await ask(api.POST('/api/v1/scripts', { body: { name, runtime, code } }));
          await this.load(script.id);
          made(script.id);
          toasts.say(`“${name}” is saved.`);
        },
      });
      return;
    }
    try {
      await this.write(code, runtime);
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.status !== 412) throw error;
      if (!(await confirm.ask(`Save over “${this.open.name}”?`, 'It was changed elsewhere since it was opened here. The versions before are kept.', 'Save over it'))) return;
      await this.refresh();
      await this.write(code, runtime);
    }
    toasts.say(`“${this.open.name}” is saved.`);
  }

  private async write(code: string, runtime: string): Promise<void> {
    const id = this.open?.id ?? '';
    const headers = { 'content-type': 'application/json', 'if-match': this.etag };
    const response = await authorized(new Request(address(id), { method: 'PUT', headers, body: JSON.stringify({ code, runtime }) }));
    if (!response.ok) throw await ApiProblem.of(response);
    await this.take(response);
  }

  private async refresh(): Promise<void> {
    const response = await authorized(new Request(address(this.open?.id ?? '')));
    if (!response.ok) throw await ApiProblem.of(response);
    this.etag = response.headers.get('etag') ?? '';
  }

  private async take(response: Response): Promise<Script> {
    this.etag = response.headers.get('etag') ?? '';
    this.open = (await response.json()) as Script;
    return this.open;
  }
}

function address(id: string): string {
  return `/api/v1/scripts/${encodeURIComponent(id)}`;
}
