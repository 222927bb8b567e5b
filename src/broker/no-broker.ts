import type { Broker } from './contract.ts';

const FIGURES = {
  machines: 0,
  entriesOut: 0,
  entriesIn: 0,
  bytesOut: 0,
  bytesIn: 0,
  gaps: 0,
  overflows: 0,
  lateMs: 0,
};

/** The broker of a single node, which sends nothing. */
export const noBroker: Broker = {
  share: { slot: 0, slots: 1 },
  start() {},
  watchedChanged() {},
  refresh() {},
  event() {},
  rendered() {},
  second() {},
  lost() {},
  staleMs: () => 0,
  pages: async () => [],
  figures: () => FIGURES,
  close: async () => {},
};
