import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { newVisitorId, signToken, verifyToken } from '../src/ingest/resume-token.ts';

const secret = randomBytes(32);
const NOW = 1_790_000_000_000;

test('a token contains its visitor, its site, and the time it was issued', () => {
  const id = newVisitorId();
  const token = signToken(secret, 'demo', id, NOW - 5000, NOW);
  assert.ok(token.length <= 128);
  assert.deepEqual(verifyToken(secret, 'demo', token), { id, born: NOW - 5000, made: NOW });
  const numbered = signToken(secret, 'demo', id, NOW - 5000, NOW, 2 ** 52);
  assert.deepEqual(verifyToken(secret, 'demo', numbered), { id, born: NOW - 5000, made: NOW, n: 2 ** 52 });
  assert.equal(verifyToken(secret, 'other', token), undefined);
  assert.equal(verifyToken(randomBytes(32), 'demo', token), undefined);
});

test('a token with any changed character is invalid', () => {
  const token = signToken(secret, 'demo', newVisitorId(), NOW, NOW);
  fc.assert(
    fc.property(fc.nat(token.length - 1), fc.stringMatching(/^[0-9A-Za-z_.-]$/), (at, char) => {
      fc.pre(token[at] !== char);
      const changed = token.slice(0, at) + char + token.slice(at + 1);
      assert.equal(verifyToken(secret, 'demo', changed), undefined);
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => verifyToken(secret, 'demo', text) === undefined));
});

test('visitor ids are 128 random bits', () => {
  const ids = new Set(Array.from({ length: 1000 }, newVisitorId));
  assert.equal(ids.size, 1000);
  for (const id of ids) assert.equal(Buffer.from(id, 'base64url').length, 16);
});
