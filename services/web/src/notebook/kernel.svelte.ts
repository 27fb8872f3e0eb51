/** The one live session of a notebook: found by its name, made when it is needed. */
import { api, ask } from '../api/client';
import { ApiProblem } from '../api/problem';
import type { Completion, Execution, LimitsPatch, Session } from '../api/schema';
import { nameForNotebook } from '../sessions/name';

export interface Wanted {
  runtime: string;
  workspace_id: string | null;
  limits: LimitsPatch;
}

export class Kernel {
  session = $state.raw<Session | null>(null);
  starting = $state(false);
  private making: Promise<Session> | null = null;

  constructor(readonly notebook: string, private readonly wanted: () => Wanted) {}

  get name(): string {
    return nameForNotebook(this.notebook);
  }

  get live(): boolean {
    return this.session !== null && this.session.status !== 'closed';
  }

  /** Asks the server how it is; finds the one that another tab made. */
  async look(): Promise<void> {
    if (this.session) {
      const id = this.session.id;
      const { data, response } = await api.GET('/api/v1/sessions/{id}', { params: { path: { id } } });
      if (this.session?.id === id) this.session = data && data.status !== 'closed' ? data : response.status === 404 || data ? null : this.session;
      if (this.session) return;
    }
    const { data } = await ask(api.GET('/api/v1/sessions', { params: { query: { status: 'open', limit: '200' } } }));
    this.session ??= data.find((session) => session.name === this.name) ?? null;
  }

  /** Uses that session from now on, which the server made for a run of the whole. */
  async adopt(id: string): Promise<void> {
    this.session = await ask(api.GET('/api/v1/sessions/{id}', { params: { path: { id } } }));
  }

  async ready(): Promise<Session> {
    if (this.session && this.session.status !== 'closed') return this.session;
    this.making ??= this.make().finally(() => (this.making = null));
    return this.making;
  }

  async execute(code: string, labels: Record<string, string>): Promise<Execution> {
    for (let attempt = 0; ; attempt += 1) {
      const { id } = await this.ready();
      const { data, error, response } = await api.POST('/api/v1/sessions/{id}/executions', { params: { path: { id } }, body: { code, interactive: true, labels } });
      if (data) return data;
      // It was closed meanwhile, for being idle say: a new one takes its place.
      if (attempt > 0 || (response.status !== 404 && response.status !== 409)) throw await ApiProblem.of(response, error);
      this.session = null;
    }
  }

  async interrupt(): Promise<void> {
    if (this.session) await ask(api.POST('/api/v1/sessions/{id}/interrupt', { params: { path: { id: this.session.id } } }));
  }

  async restart(): Promise<void> {
    if (this.session) await ask(api.POST('/api/v1/sessions/{id}/restart', { params: { path: { id: this.session.id } } }));
    else await this.ready();
  }

  async shutDown(): Promise<void> {
    const id = this.session?.id;
    this.session = null;
    if (id) await ask(api.DELETE('/api/v1/sessions/{id}', { params: { path: { id } } }));
  }

  /** What could stand at the cursor; nothing while there is no session or it is busy. */
  async complete(code: string, cursor: number): Promise<Completion | null> {
    if (this.session?.status !== 'idle') return null;
    const { data } = await api.POST('/api/v1/sessions/{id}/complete', { params: { path: { id: this.session.id } }, body: { code, cursor, detail: 0 } });
    return data ?? null;
  }

  async inspect(code: string, cursor: number): Promise<string | null> {
    if (this.session?.status !== 'idle') return null;
    const { data } = await api.POST('/api/v1/sessions/{id}/inspect', { params: { path: { id: this.session.id } }, body: { code, cursor, detail: 0 } });
    const text = data?.found ? (data.data as Record<string, unknown>)['text/plain'] : null;
    return typeof text === 'string' ? text : null;
  }

  private async make(): Promise<Session> {
    this.starting = true;
    try {
      await this.look();
      if (this.session) return this.session;
      const { runtime, workspace_id, limits } = this.wanted();
      const body = { name: this.name, runtime, limits, ...(workspace_id ? { workspace_id } : {}) };
      this.session = await ask(api.POST('/api/v1/sessions', { body }));
      return this.session;
    } finally {
      this.starting = false;
    }
  }
}
