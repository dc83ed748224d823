/** The program that is killed while it applies a plan; see kill-mid-apply.ts. */
import { ceilingsApplier, ceilingsPlan, type KillSettings } from './ceilings.js';

process.on('message', (settings: KillSettings) => {
  const apply = async (): Promise<void> => {
    // The parent's clock runs from the first step on.
    let began = false;
    const { applier, journal } = ceilingsApplier(settings, {
      append: async ({ event }) => {
        if (event === 'intent' && !began) process.send?.('begin');
        began ||= event === 'intent';
      },
    });
    await journal.open();
    await applier.recover();
    await applier.apply(ceilingsPlan(settings.planId, settings.rateBps));
    await applier.close();
    await journal.close();
    process.send?.('applied', () => process.exit(0));
  };
  apply().catch((error: unknown) => {
    process.send?.(`failed: ${String(error)}`, () => process.exit(1));
  });
});
process.on('disconnect', () => process.exit(1));
