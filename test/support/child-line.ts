import type { ChildProcess } from 'node:child_process';

/** The next line that a child prints. @throws Error when it ends before */
export const nextLine = (child: ChildProcess, name: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let text = '';
    const take = (chunk: Buffer): void => {
      text += chunk.toString();
      if (!text.includes('\n')) return;
      child.stdout!.off('data', take);
      resolve(text.slice(0, text.indexOf('\n')));
    };
    child.stdout!.on('data', take);
    child.once('exit', (code) => reject(new Error(`${name} ended with ${code}`)));
  });
