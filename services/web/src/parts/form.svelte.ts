/** What every form does when it is sent: once at a time, faults beside their fields, the rest of what went wrong below. */
import { fieldFaults, sayProblem } from '../api/problem';

export type Faults = Record<string, string>;

export class Form {
  busy = $state(false);
  /** By the name of the field. */
  faults = $state<Faults>({});
  /** What no field of the form is to blame for. */
  problem = $state('');

  constructor(private readonly fields: readonly string[]) {}

  /** Does the work unless something was found wrong before, and says whether it went well. */
  async send(work: () => Promise<void>, found: Faults = {}): Promise<boolean> {
    if (this.busy) return false;
    [this.faults, this.problem] = [found, ''];
    if (Object.keys(found).length > 0) return false;
    this.busy = true;
    try {
      await work();
      return true;
    } catch (error) {
      this.faults = fieldFaults(error);
      if (!this.fields.some((field) => field in this.faults)) this.problem = sayProblem(error);
      return false;
    } finally {
      this.busy = false;
    }
  }

  clear(): void {
    [this.faults, this.problem] = [{}, ''];
  }
}
