/** Recognises failed writes that the disk is to blame for. */
import { osErrorName } from '../../lib/os-error.ts';
import { StoreError } from '../contract.ts';

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);
const FAILING = new Set(['EIO', 'EROFS']);

/**
 * Returns the error to report: `full`, or `disk-error` if the disk refuses writes for another reason. Undefined if the
 * disk is not to blame. `tryDisk` writes something beside the store and throws the system's error. It is needed because
 * LMDB also reports an input/output error when a full disk cuts a write short.
 */
export function diskFault(error: unknown, tryDisk: () => void): StoreError | undefined {
  const { message } = error as Error;
  const name = osErrorName(error);
  if (isFull(name, message)) return new StoreError('full', `the disk of the data folder is full: ${message}`);
  if (name === undefined || !FAILING.has(name)) return undefined;
  const second = typeof (error as { code: unknown }).code === 'number' ? failureOf(tryDisk) : undefined;
  if (second && isFull(osErrorName(second), second.message))
    return new StoreError('full', `the disk of the data folder is full: ${second.message}`);
  return new StoreError(
    'disk-error',
    `the disk of the data folder accepts no writes: ${message}; check the system log, the disk may be failing`,
  );
}

function isFull(name: string | undefined, message: string): boolean {
  return (name !== undefined && FULL.has(name)) || /no space|MAP_FULL|quota|too large/i.test(message);
}

function failureOf(action: () => void): Error | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return error as Error;
  }
}
