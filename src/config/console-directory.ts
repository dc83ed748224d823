import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../base/package-root.js';

/** Where the built console lies; nothing when this build has none. */
export function consoleDirectory(): { readonly consoleDirectory?: string } {
  const directory = join(packageRoot(), 'dist', 'console');
  return existsSync(join(directory, 'index.html')) ? { consoleDirectory: directory } : {};
}
