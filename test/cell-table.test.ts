/** The counts of our hash table of cells equal those of a Map. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MAX_COLUMN, MAX_ROW } from '../src/model/heat.ts';
import { CellTable } from '../src/store/record/cell-table.ts';
import { HeatCells } from '../src/store/record/heat.ts';

const LAST_CELL = (MAX_COLUMN + 1) * (MAX_ROW + 1) - 1;

/** Few cells, so that many are met again; those at the ends; and any. */
const cell = fc.oneof(fc.nat({ max: 40 }), fc.constantFrom(0, LAST_CELL), fc.nat({ max: LAST_CELL }));
const additions = fc.array(fc.tuple(cell, fc.integer({ min: -3, max: 3 })), { maxLength: 300 });

function mapOf(added: readonly (readonly [number, number])[]): Map<number, number> {
  const map = new Map<number, number>();
  for (const [one, by] of added) map.set(one, (map.get(one) ?? 0) + by);
  for (const [one, n] of map) if (n === 0) map.delete(one);
  return map;
}

function tableOf(added: readonly (readonly [number, number])[]): CellTable {
  const table = new CellTable();
  for (const [one, by] of added) table.add(one, by);
  return table;
}

test('a table of cells has the same counts as a Map', () => {
  fc.assert(
    fc.property(additions, (added) => {
      const [table, map] = [tableOf(added), mapOf(added)];
      assert.deepEqual(new Map(table), map);
      assert.equal(table.size, map.size);
      for (const [one] of added) assert.equal(table.get(one), map.get(one));
    }),
  );
});

test('tables of cells can be added and cleared', () => {
  fc.assert(
    fc.property(additions, additions, (some, others) => {
      const table = tableOf(some);
      table.merge(tableOf(others).slots);
      assert.deepEqual(new Map(table), mapOf([...some, ...others]));
      table.clear();
      assert.deepEqual([...table], []);
    }),
  );
});

test('a heatmap sums up cells, and leaves out those that no page has', () => {
  const sum = new HeatCells();
  for (const cell of [0, 7, LAST_CELL, 7, LAST_CELL + 1, 2 ** 31, 2 ** 32 + 7, 2 ** 45, -1]) sum.add(cell, 2);
  const cells = new Map([
    [0, 2],
    [7, 4],
    [LAST_CELL, 2],
  ]);
  assert.deepEqual(sum.counted(), cells);
});
