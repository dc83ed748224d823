import { APPLICATION_COLUMNS } from '../application-columns.js';
import type { SchemaStatement } from './statement.js';

/** What payload heads say about a flow's application. */
export const applications: readonly SchemaStatement[] = [
  {
    kind: 'columns',
    table: 'flows',
    columns: APPLICATION_COLUMNS.map(
      ({ name, stored, description }) => `${name} ${stored} COMMENT '${description}'`,
    ),
  },
];
