import type { DoctorFinding } from '../api/dependencies.js';

export type { DoctorFinding } from '../api/dependencies.js';

/** One thing to look at: an id that never changes, and the look. */
export interface Check {
  readonly id: string;
  readonly words: string;
  readonly run: () => Promise<readonly Omit<DoctorFinding, 'id'>[]>;
}

type Result = Omit<DoctorFinding, 'id'>;

export const ok = (words: string): Result => ({ result: 'ok', words, remedy: '' });
export const info = (words: string, remedy = ''): Result => ({ result: 'info', words, remedy });
export const warning = (words: string, remedy: string): Result => ({ result: 'warning', words, remedy });
export const blocker = (words: string, remedy: string): Result => ({ result: 'blocker', words, remedy });
export const unknown = (words: string, remedy: string): Result => ({ result: 'unknown', words, remedy });
