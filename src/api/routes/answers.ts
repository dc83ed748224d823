import type { z } from 'zod';
import { errorAnswer } from '../schemas.js';

/** Responses of a route: what it answers, and how it refuses. */
export const answers = <Schema extends z.ZodType>(schema: Schema) =>
  ({ 200: schema, '4xx': errorAnswer, '5xx': errorAnswer }) as const;
