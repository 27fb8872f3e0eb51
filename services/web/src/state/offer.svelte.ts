/** What this installation offers the caller: runtimes and limits, asked for once a tenant and kept. */
import { api, ask } from '../api/client';
import type { LimitsAnswer, Runtime } from '../api/schema';

class Offer {
  runtimes = $state.raw<Runtime[]>([]);
  limits = $state.raw<LimitsAnswer | null>(null);

  async load(): Promise<void> {
    const [runtimes, limits] = await Promise.all([
      ask(api.GET('/api/v1/runtimes')),
      ask(api.GET('/api/v1/limits')),
    ]);
    this.runtimes = [...runtimes.data].sort(byRank);
    this.limits = limits;
  }

  get first(): Runtime | undefined {
    return this.runtimes.find((runtime) => runtime.default) ?? this.runtimes[0];
  }

  runtime(id: string): Runtime | undefined {
    return this.runtimes.find((runtime) => runtime.id === id);
  }
}

/** Plain Pythons, the newest first, then those with packages, then other languages. */
function byRank(left: Runtime, right: Runtime): number {
  const rank = (runtime: Runtime) => (/^python\d/.test(runtime.id) ? 0 : runtime.language === 'python' ? 1 : 2);
  return rank(left) - rank(right) || right.version.localeCompare(left.version, 'en', { numeric: true }) || left.id.localeCompare(right.id);
}

export const offer = new Offer();
