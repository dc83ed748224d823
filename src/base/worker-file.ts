import { fileURLToPath } from 'node:url';

/**
 * The file to start a worker thread or child process from. Threads need compiled JavaScript, while tests run
 * the TypeScript sources: a `src/….ts` caller is mapped to its compiled twin under `dist/` (`make build`
 * precedes `make test`).
 *
 * @param importMetaUrl the caller's `import.meta.url`
 * @param name the worker's file beside the caller, without extension, e.g. `./encode-worker`
 */
export function workerFile(importMetaUrl: string, name: string): string {
  const path = fileURLToPath(new URL(`${name}.js`, importMetaUrl));
  return importMetaUrl.endsWith('.ts') ? path.replace(/\/src\/(?!.*\/src\/)/, '/dist/') : path;
}
