/** The tenant's workspaces, for every page that offers one. */
import { api, ask } from '../api/client';
import { sayProblem } from '../api/problem';
import type { Workspace } from '../api/schema';

/** As many as one list of the API holds; a tenant has few. */
const MOST = 200;

class Workspaces {
  list = $state.raw<Workspace[]>([]);
  fault = $state('');

  async load(): Promise<void> {
    try {
      const { data } = await ask(api.GET('/api/v1/workspaces', { params: { query: { limit: MOST } } }));
      this.list = data.sort((left, right) => Number(right.default) - Number(left.default) || left.name.localeCompare(right.name));
      this.fault = '';
    } catch (error) {
      this.fault = sayProblem(error);
    }
  }

  /** The one of that id, or the tenant's first. */
  chosen(id: string | null): Workspace | undefined {
    return this.list.find((workspace) => workspace.id === id) ?? this.list[0];
  }

  find(id: string | null | undefined): Workspace | undefined {
    return this.list.find((workspace) => workspace.id === id);
  }
}

export const workspaces = new Workspaces();
