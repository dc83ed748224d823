import type { ComponentChildren } from 'preact';
import type { Loaded } from '../use-data.js';
import { SqlButton } from './sql-dialog.js';

interface CardProps {
  readonly title: string;
  readonly sql?: readonly string[];
  readonly actions?: ComponentChildren;
  /** As wide as the page, or half of it; a third otherwise. */
  readonly wide?: boolean;
  readonly half?: boolean;
  readonly children: ComponentChildren;
}

/** One subject with a heading and the SQL behind its numbers. */
export function Card({ title, sql = [], actions, wide, half, children }: CardProps) {
  return (
    <section class={`card${wide ? ' wide' : half ? ' half' : ''}`} aria-label={title}>
      <header class="row">
        <h2>{title}</h2>
        <span class="row">
          {actions}
          <SqlButton sql={sql} of={title} />
        </span>
      </header>
      {children}
    </section>
  );
}

/** A number with its name; `tone` says whether it is good or bad, in words for those who do not see it. */
export function Figure({
  name,
  value,
  note,
  tone,
  id,
}: {
  readonly name: string;
  readonly value: string;
  readonly note?: ComponentChildren;
  readonly tone?: 'good' | 'bad' | undefined;
  readonly id?: string;
}) {
  return (
    <div class="figure">
      <span class="muted">{name}</span>
      <strong class={tone} id={id}>
        {value}
      </strong>
      {note !== undefined && <span class="muted">{note}</span>}
    </div>
  );
}

/** What is said instead of data: why there is none, and what to do. */
export function Waiting({
  of,
  empty,
}: {
  readonly of: Pick<Loaded<unknown>, 'data' | 'error' | 'loading'>;
  readonly empty?: string;
}) {
  if (of.error)
    return (
      <p role="alert" class="bad">
        {of.error.message}
        {of.error.hint !== '' && `; ${of.error.hint}`}
      </p>
    );
  if (of.data === undefined) return <p class="muted">{of.loading ? 'Loading…' : ''}</p>;
  return empty === undefined ? null : <p class="muted">{empty}</p>;
}
