import { signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import { post, wordsOf } from '../api.js';
import { count } from '../format.js';
import type { SqlAnswer } from '../types.js';
import { Scroll } from './scroll.js';

const shown = signal<readonly string[] | undefined>(undefined);

/** Opens the statements behind a number. */
export function SqlButton({ sql, of }: { readonly sql: readonly string[]; readonly of: string }) {
  if (sql.length === 0) return null;
  return (
    <button
      type="button"
      class="quiet"
      aria-label={`SQL behind ${of}`}
      onClick={() => {
        shown.value = sql;
      }}
    >
      SQL
    </button>
  );
}

function Statement({ sql }: { readonly sql: string }) {
  const [answer, setAnswer] = useState<SqlAnswer | undefined>();
  const [problem, setProblem] = useState('');
  const run = async (): Promise<void> => {
    setProblem('');
    try {
      setAnswer(await post<SqlAnswer>('/api/sql', { sql }));
    } catch (error) {
      setProblem(wordsOf(error));
    }
  };
  return (
    <section>
      <pre>{sql}</pre>
      <p class="row">
        <button type="button" onClick={() => void run()}>
          Run
        </button>
        <button type="button" class="quiet" onClick={() => void navigator.clipboard?.writeText(sql)}>
          Copy
        </button>
        {answer && (
          <span class="muted">
            {count(answer.rows.length)} rows{answer.truncated ? ' and more' : ''},{' '}
            {answer.elapsedMs.toFixed(0)} ms
          </span>
        )}
      </p>
      {problem !== '' && (
        <p role="alert" class="bad">
          {problem}
        </p>
      )}
      {answer && (
        <Scroll of="rows">
          <table>
            <thead>
              <tr>
                {answer.columns.map((column) => (
                  <th key={column.name} scope="col">
                    {column.name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {answer.rows.slice(0, 200).map((row, i) => (
                <tr key={i}>
                  {row.map((cell, j) => (
                    <td key={j}>{typeof cell === 'object' ? JSON.stringify(cell) : String(cell)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </section>
  );
}

export function SqlDialog() {
  const dialog = useRef<HTMLDialogElement>(null);
  const statements = shown.value;
  useEffect(() => {
    if (statements !== undefined) dialog.current?.showModal();
  }, [statements]);
  return (
    <dialog
      ref={dialog}
      aria-label="SQL behind the numbers"
      onClose={() => {
        shown.value = undefined;
      }}
    >
      <header class="row">
        <h2>SQL behind the numbers</h2>
        <form method="dialog">
          <button type="submit">Close</button>
        </form>
      </header>
      {statements?.map((sql) => (
        <Statement key={sql} sql={sql} />
      ))}
    </dialog>
  );
}
