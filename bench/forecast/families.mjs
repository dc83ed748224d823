// Series under ../shared/data or $TIDEGATE_DATA that are of one kind: donors to each other where history is borrowed.
import { join } from 'node:path';
import { data } from './series.mjs';

const nab = (...names) => names.map((name) => join(data, 'nab', `${name}.csv`));
const cpu = ['24ae8d', '53ea38', '5f5533', '77c1ca', '825cc2', 'ac20cd', 'c6585a', 'fe7f93'];

/** `{files, time, columns}` of every kind that has more than one series. */
export const families = [
  { files: nab('Twitter_volume_AMZN', 'Twitter_volume_GOOG'), time: 'timestamp', columns: 'value' },
  {
    files: [join(data, 'cluster/google2011_5m.csv')],
    time: 'time_stamp',
    columns: 'meanCPUUsage,CanonicalMemUsage',
  },
  { files: nab(...cpu.map((id) => `ec2_cpu_utilization_${id}`)), time: 'timestamp', columns: 'value' },
  {
    files: nab('ec2_disk_write_bytes_1ef3de', 'ec2_disk_write_bytes_c0d644'),
    time: 'timestamp',
    columns: 'value',
  },
  {
    files: nab('ec2_network_in_257a54', 'ec2_network_in_5abac7', 'iio_us-east-1_i-a2eb1cd9_NetworkIn'),
    time: 'timestamp',
    columns: 'value',
  },
  {
    files: nab('rds_cpu_utilization_cc0c53', 'rds_cpu_utilization_e47b3b'),
    time: 'timestamp',
    columns: 'value',
  },
];
