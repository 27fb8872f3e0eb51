/** How each status is called. */
import type { Execution, Status } from '../api/schema';

export const STATUS_NAMES: Record<Status, string> = {
  queued: 'Queued',
  running: 'Running',
  succeeded: 'Succeeded',
  failed: 'Failed',
  timed_out: 'Timed out',
  out_of_memory: 'Out of memory',
  cancelled: 'Stopped',
  lost: 'Lost',
};

export const STATUSES = Object.keys(STATUS_NAMES) as Status[];

/** Why it ended as it did, in a sentence; null for a success without anything to say. */
export function whyEnded(execution: Execution): string | null {
  if (execution.reason) return sentence(execution.reason.message);
  const [warning] = execution.warnings;
  return warning ? sentence(warning.message) : null;
}

function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
