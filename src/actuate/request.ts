import type { JsonValue } from './actuator.js';

/** A CloudEvents 1.0 event (cloudevents.io, structured JSON mode) that asks for an allocation. */
export interface AllocationRequest {
  readonly specversion: '1.0';
  /** The step's id: the same request has the same id however often it is sent. */
  readonly id: string;
  readonly source: string;
  readonly type: 'tidegate.allocation.requested';
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly data: { readonly target: string; readonly value: JsonValue };
}

export const allocationRequest = (
  gateway: string,
  target: string,
  value: JsonValue,
  id: string,
  atMs: number,
): AllocationRequest => ({
  specversion: '1.0',
  id,
  source: `tidegate/${gateway}`,
  type: 'tidegate.allocation.requested',
  subject: target,
  time: new Date(atMs).toISOString(),
  datacontenttype: 'application/json',
  data: { target, value },
});

/**
 * Why an answer refuses the request, or undefined when it accepts: nothing and `{"accepted": true}` accept,
 * `{"accepted": false, "reason": …}` refuses, and whatever else is no answer to this question.
 */
export function refusalIn(answer: string): string | undefined {
  if (answer.trim() === '') return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(answer);
  } catch {
    return `answered "${answer.trim().slice(0, 80)}", which is not JSON`;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    return 'answered no JSON object';
  const { accepted, reason } = parsed as { accepted?: unknown; reason?: unknown };
  if (accepted === false) return `refused${typeof reason === 'string' ? `: ${reason}` : ''}`;
  return accepted === undefined || accepted === true ? undefined : '"accepted" is neither true nor false';
}
