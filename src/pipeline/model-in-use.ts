import { existsSync } from 'node:fs';
import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import {
  adoptedModelPath,
  defaultModelPath,
  FingerprintEncoder,
  type ModelInfo,
  readModelFile,
} from '../fingerprint/index.js';

/** A model that has been loaded once and works; shared by all threads. */
export interface LoadedModel {
  readonly info: ModelInfo;
  readonly bytes: SharedArrayBuffer;
}

export interface ModelInUseOptions {
  /** The model that the configuration names: without it there is no start. */
  readonly configured?: string | undefined;
  readonly dataDirectory: string;
  readonly logger: Logger;
}

async function load(path: string): Promise<LoadedModel> {
  const bytes = await readModelFile(path);
  const encoder = await FingerprintEncoder.fromBytes(bytes, path);
  await encoder.release();
  const shared = new SharedArrayBuffer(bytes.length);
  new Uint8Array(shared).set(bytes);
  return { info: encoder.info, bytes: shared };
}

/**
 * The encoder that fingerprints are made with: the configured one, else the one that was trained on this gateway's
 * traffic, else the one that ships. A replacement that does not load changes nothing.
 */
export class ModelInUse {
  readonly #path: string;
  #current: LoadedModel;

  private constructor(path: string, current: LoadedModel) {
    this.#path = path;
    this.#current = current;
  }

  /** @throws TG_FINGERPRINT_MODEL_… when the configured model cannot be used; an adopted one is left out with a warning */
  static async open(options: ModelInUseOptions): Promise<ModelInUse> {
    const { configured, dataDirectory, logger } = options;
    if (configured !== undefined) return new ModelInUse(configured, await load(configured));
    const adopted = adoptedModelPath(dataDirectory);
    if (existsSync(adopted)) {
      try {
        return new ModelInUse(adopted, await load(adopted));
      } catch (error) {
        logger.error({ path: adopted, reason: messageOf(error) }, 'the shipped fingerprint model is used');
      }
    }
    return new ModelInUse(adopted, await load(defaultModelPath()));
  }

  get current(): LoadedModel {
    return this.#current;
  }

  /** Takes the model file up again after it was replaced. @throws TG_FINGERPRINT_MODEL_…; the old model stays in use */
  async reload(): Promise<LoadedModel> {
    const next = await load(this.#path);
    this.#current = next;
    return next;
  }
}
