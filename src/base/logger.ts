import type { Logger } from 'pino';

/** The logger handed to components: pino's, so that fields stay structured. */
export type { Logger };

/** Log line fields that belong to one component. */
export const childLogger = (logger: Logger, component: string): Logger => logger.child({ component });
