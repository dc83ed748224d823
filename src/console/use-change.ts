import { useState } from 'preact/hooks';
import { wordsOf } from './api.js';

export interface Change {
  /** Why the last change was refused; empty = it was not. */
  readonly problem: string;
  readonly busy: boolean;
  /** Does the work, then `done`. */
  readonly run: (work: () => Promise<unknown>) => void;
}

/** Changes something at the gateway and says what came of it. */
export function useChange(done: () => void): Change {
  const [problem, setProblem] = useState('');
  const [busy, setBusy] = useState(false);
  return {
    problem,
    busy,
    run: (work) => {
      setProblem('');
      setBusy(true);
      work()
        .then(done)
        .catch((error: unknown) => setProblem(wordsOf(error)))
        .finally(() => setBusy(false));
    },
  };
}
