import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { newVisitorId, signToken, verifyToken } from '../src/ingest/resume-token.ts';

const secret = randomBytes(32);
const NOW = 1_790_000_000_000;

test('a token names its visitor, for its site, while it lasts', () => {
  const id = newVisitorId();
  const token = signToken(secret, 'demo', id, NOW);
  assert.ok(token.length <= 128);
  assert.deepEqual(verifyToken(secret, 'demo', token, NOW + 1000), { id, made: NOW });
  assert.equal(verifyToken(secret, 'other', token, NOW), undefined);
  assert.equal(verifyToken(randomBytes(32), 'demo', token, NOW), undefined);
  assert.equal(verifyToken(secret, 'demo', token, NOW + 25 * 3_600_000), undefined);
});

test('a token with any character changed is no token', () => {
  const token = signToken(secret, 'demo', newVisitorId(), NOW);
  fc.assert(
    fc.property(fc.nat(token.length - 1), fc.stringMatching(/^[0-9A-Za-z_.-]$/), (at, char) => {
      fc.pre(token[at] !== char);
      const changed = token.slice(0, at) + char + token.slice(at + 1);
      assert.equal(verifyToken(secret, 'demo', changed, NOW), undefined);
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => verifyToken(secret, 'demo', text, NOW) === undefined));
});

test('visitor ids are 128 random bits', () => {
  const ids = new Set(Array.from({ length: 1000 }, newVisitorId));
  assert.equal(ids.size, 1000);
  for (const id of ids) assert.equal(Buffer.from(id, 'base64url').length, 16);
});
