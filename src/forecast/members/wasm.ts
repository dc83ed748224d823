import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/**
 * The WebAssembly module that lies beside an entry point of @bsull/augurs. The package exports its entry points only,
 * and its own loader would try to fetch a file URL, which Node does not do.
 */
export const augursModule = (entry: 'prophet' | 'mstl' | 'ets'): Buffer =>
  readFileSync(
    join(dirname(createRequire(import.meta.url).resolve(`@bsull/augurs/${entry}`)), `${entry}_bg.wasm`),
  );
