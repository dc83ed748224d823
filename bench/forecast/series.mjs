// The series that forecasts are measured on, with the columns that hold them.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');
export const data = join(process.env.TIDEGATE_DATA ?? join(root, '../shared/data'), 'series');

/** `{file, time, value}` of every 5-minute series; ends the process where there are none. */
export function seriesInputs() {
  if (!existsSync(data)) {
    console.error(`no series under ${data}; set TIDEGATE_DATA`);
    process.exit(1);
  }
  return [
    { file: join(data, 'isp/it_uk_5m.csv'), time: 'time_count', value: 'bits' },
    { file: join(data, 'cluster/google2011_5m.csv'), time: 'time_stamp', value: 'meanCPUUsage' },
    { file: join(data, 'cluster/google2011_5m.csv'), time: 'time_stamp', value: 'CanonicalMemUsage' },
    { file: join(data, 'cluster/azure_v2_5m.csv'), time: 'timestamp', value: 'cpu_usage' },
    ...readdirSync(join(data, 'nab')).map((name) => ({
      file: join(data, 'nab', name),
      time: 'timestamp',
      value: 'value',
    })),
  ];
}
