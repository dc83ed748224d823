import { useEffect, useState } from 'preact/hooks';
import { get, Refused, token } from './api.js';

export interface Loaded<T> {
  readonly data: T | undefined;
  readonly error: Refused | undefined;
  readonly loading: boolean;
  readonly reload: () => void;
}

/** Reads a path, again every `everyMs`, and at once when it changes. What is shown stays until the next answer. */
export function useData<T>(path: string | undefined, everyMs = 0, mark = ''): Loaded<T> {
  const [state, setState] = useState<{ data?: T; error?: Refused; loading: boolean; path?: string }>({
    loading: true,
  });
  const [turn, setTurn] = useState(0);
  const secret = token.value;
  useEffect(() => {
    if (path === undefined) return;
    const abort = new AbortController();
    let timer = 0;
    const read = async (): Promise<void> => {
      try {
        const data = await get<T>(path, abort.signal);
        if (!abort.signal.aborted) setState({ data, loading: false, path });
      } catch (error) {
        if (abort.signal.aborted) return;
        const refused =
          error instanceof Refused ? error : new Refused('error', String(error), 'reload the page', 0);
        setState((before) => ({ ...before, error: refused, loading: false }));
      }
      if (everyMs > 0 && !abort.signal.aborted) timer = window.setTimeout(() => void read(), everyMs);
    };
    setState((before) => ({ ...before, loading: true }));
    void read();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [path, everyMs, turn, mark, secret]);
  return {
    data: state.data,
    error: state.error,
    loading: state.loading,
    reload: () => setTurn((n) => n + 1),
  };
}
