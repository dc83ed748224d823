// The gateway's OpenAPI document, from the built program, without a gateway. Needs `make ts`.
import { join } from 'node:path';

const dist = (path) => import(join(import.meta.dirname, '..', 'dist', path));
const none = () => undefined;
const silent = {
  level: 'silent',
  info: none,
  warn: none,
  error: none,
  debug: none,
  fatal: none,
  trace: none,
  silent: none,
};

/** As `/api/openapi.json` answers it. */
export async function apiDocument() {
  const [{ buildApp }, { apiConfig }] = await Promise.all([dist('api/app.js'), dist('api/config.js')]);
  const logger = { child: () => ({ ...silent, child: () => silent }) };
  const app = await buildApp(
    { config: apiConfig.parse({}), logger, status: none, plans: {} },
    { version: '', streams: { open: 0 } },
    { kind: 'socket' },
  );
  await app.ready();
  const document = app.swagger();
  await app.close();
  return document;
}
