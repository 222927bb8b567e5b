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

/** One machine: there is nobody to tell. */
export const noBroker: Broker = {
  share: { slot: 0, slots: 1 },
  begin() {},
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
