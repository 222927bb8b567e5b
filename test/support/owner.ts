/** Everything that a test starts ends with its owner. */
import { after, type TestContext } from 'node:test';

/** A test, or all tests of a file. */
export type Owner = Pick<TestContext, 'after'>;

/** Stops what it owns after the last test of the file. Tests share what takes long to start. */
export const FILE: Owner = { after: after as Owner['after'] };
