import { messageOf } from '../base/errors.js';
import type { Logger } from '../base/logger.js';
import type { ConfigChanges } from '../config/reload.js';
import type { GatewayConfig } from '../config/schema.js';

/** Reads the configuration again on SIGHUP. One that is wrong is said and changes nothing. Returns how to stop listening. */
export function reloadOnHangUp(
  gateway: { reload(config: GatewayConfig): Promise<ConfigChanges> },
  read: () => GatewayConfig,
  logger: Logger,
): () => void {
  let busy = Promise.resolve();
  const reload = async (): Promise<void> => {
    try {
      const { reloadable, needRestart } = await gateway.reload(read());
      if (needRestart.length > 0)
        logger.warn({ needRestart }, 'these settings have changed and need a restart');
      logger.info({ reloaded: reloadable }, 'configuration reloaded');
    } catch (error) {
      logger.error({ reason: messageOf(error) }, 'configuration not reloaded; nothing has changed');
    }
  };
  const onHangUp = (): void => {
    busy = busy.then(reload);
  };
  process.on('SIGHUP', onHangUp);
  return () => void process.off('SIGHUP', onHangUp);
}
