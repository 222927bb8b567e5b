/** Splits batches by site and shard, for a store that separates sites. */
import { FrameError } from '../../protocol/frame-error.ts';
import { BatchWriter, firstVisit, PlaceMark, readBatch, readVisits } from './batch.ts';
import { siteShardOf } from './shard.ts';

/** A batch of visits of one site and shard. */
export interface SiteBatch {
  site: string;
  shard: number;
  bytes: Uint8Array;
}

/**
 * Returns the parts of a batch. A batch of a single site and shard, as a recorder makes it, is returned as it is. So is
 * a damaged batch, under its first visit: compaction finds the damage. Throws FrameError if it has no visit.
 */
export function splitBatch(bytes: Uint8Array): SiteBatch[] {
  const [id, site] = firstVisit(bytes);
  const shard = siteShardOf(id);
  let isOne = true;
  try {
    readVisits(bytes, (otherId, otherSite) => {
      isOne &&= otherSite === site && (otherId === id || siteShardOf(otherId) === shard);
    });
    return isOne ? [{ site, shard, bytes }] : parts(bytes);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    return [{ site, shard, bytes }];
  }
}

function parts(bytes: Uint8Array): SiteBatch[] {
  const writers = new Map<string, { site: string; shard: number; writer: BatchWriter }>();
  const sites = new Map<string, string>();
  const marks = new Map<object, PlaceMark>();
  readVisits(bytes, (id, site) => sites.set(id, site));
  const writerOf = (id: string, site: string) => {
    const shard = siteShardOf(id);
    const key = `${shard} ${site}`;
    const known = writers.get(key) ?? { site, shard, writer: new BatchWriter() };
    writers.set(key, known);
    return known.writer;
  };
  readBatch(bytes, {
    // A description belongs to the visit, wherever it is: the place only names the visit.
    about: (id, about) => {
      const site = sites.get(id) as string;
      writerOf(id, site).about(new PlaceMark({ id, site, page: '', size: [0, 0, 0, 0] }), about);
    },
    frame: (frame) => {
      const mark = marks.get(frame.place) ?? new PlaceMark(frame.place);
      marks.set(frame.place, mark);
      writerOf(frame.place.id, frame.place.site).copy(mark, frame);
    },
  });
  return [...writers.values()].map(({ site, shard, writer }) => ({ site, shard, bytes: writer.take() }));
}
