/** Asks before what cannot be undone, by the name of the thing. */

export type Question = { title: string; text: string; action: string; answer: (yes: boolean) => void };

class Confirm {
  question = $state<Question | null>(null);

  ask(title: string, text: string, action: string): Promise<boolean> {
    return new Promise((resolve) => {
      this.question = {
        title,
        text,
        action,
        answer: (yes) => {
          this.question = null;
          resolve(yes);
        },
      };
    });
  }
}

export const confirm = new Confirm();
