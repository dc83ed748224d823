import { defineErrors } from '../base/errors.js';

export const fail = defineErrors({
  TG_FINGERPRINT_MODEL_MISSING: {
    message: 'the fingerprint model {path} cannot be read ({reason})',
    hint: 'name an existing model file, or leave the setting out to use the one that ships with Tidegate',
  },
  TG_FINGERPRINT_MODEL_CORRUPT: {
    message: 'the fingerprint model {path} is damaged: {reason}',
    hint: 'train it again with `tidegate fingerprint train`, or leave the setting out to use the shipped one',
  },
  TG_FINGERPRINT_MODEL_SCHEMA: {
    message: 'the fingerprint model {path} was made for feature schema {found}, this version has {expected}',
    hint: 'train it again with `tidegate fingerprint train`',
  },
  TG_FINGERPRINT_MODEL_SIZE: {
    message: 'the fingerprint model {path} has {bytes} octets, more than the limit of {limit}',
    hint: 'a Tidegate model is well below 4 MB: check that the file is one',
  },
  TG_FINGERPRINT_LABELS: {
    message: 'the label file {path} cannot be used: {reason}',
    hint: 'a CSV with a header line: file,label for whole captures, or file, 5-tuple and label for flows',
    exitCode: 2,
  },
  TG_FINGERPRINT_CAPTURES: {
    message: 'no captures to learn from in {path}: {reason}',
    hint: 'name a folder that holds pcap or pcapng files',
    exitCode: 2,
  },
  TG_FINGERPRINT_TOO_FEW: {
    message: 'too little labelled traffic: {reason}',
    hint: 'label more captures; each class needs at least two, each fold at least one',
    exitCode: 2,
  },
  TG_FINGERPRINT_WORKLOAD: {
    message: 'there is no workload {workload}',
    hint: 'list them with `tidegate workloads list`',
    exitCode: 2,
    httpStatus: 404,
  },
  TG_FINGERPRINT_SNAPSHOT: {
    message: 'the saved workload registry cannot be restored: {reason}',
    hint: 'the registry starts empty and learns again; known ids are kept by the store',
  },
  TG_FINGERPRINT_KUBERNETES: {
    message: 'labels of pods cannot be read from Kubernetes: {reason}',
    hint: 'check `fingerprint.kubernetes` in the configuration, and that @kubernetes/client-node is installed',
  },
  TG_FINGERPRINT_DIVERGED: {
    message: 'training diverged at step {step}: the loss is not a number',
    hint: 'lower the learning rate, or look for absurd counters in the captures',
  },
});
