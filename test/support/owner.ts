/** Whatever a test starts ends with its owner. */
import { after, type TestContext } from 'node:test';

/** A test, or all tests of a file. */
export type Owner = Pick<TestContext, 'after'>;

/** Ends what it owns after the last test of the file: for what the tests share because starting it takes long. */
export const FILE: Owner = { after: after as Owner['after'] };
