/** Short news that need no answer, read out to those who listen. */
import { sayProblem } from '../api/problem';

type Toast = { id: number; text: string; bad: boolean };
const SHOWN_MS = 6_000;
const MOST = 4;

class Toasts {
  list = $state<Toast[]>([]);
  private next = 1;

  say(text: string, bad = false): void {
    const id = this.next++;
    this.list = [...this.list, { id, text, bad }].slice(-MOST);
    setTimeout(() => this.dismiss(id), SHOWN_MS);
  }

  fail(error: unknown): void {
    this.say(sayProblem(error), true);
  }

  dismiss(id: number): void {
    this.list = this.list.filter((toast) => toast.id !== id);
  }
}

export const toasts = new Toasts();
