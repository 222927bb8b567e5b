/**
 * State shared by the parts of the live screen. Events of the stream change `liveState` at once. The parts are redrawn
 * at most four times a second, when `version` changes.
 */
import { signal } from '@preact/signals';
import type { Rewind } from '../rewind/rewind.ts';
import { type LiveScene, LiveState } from './live-state.ts';
import type { StreamLink } from './stream.ts';

export const liveState = new LiveState();
/** Counts the changes of `liveState`. */
export const version = signal(0);
/** Counts the seconds of the server: the curve and the activity graphs move with them. */
export const second = signal(0);
export const link = signal<StreamLink>({ state: 'connecting' });
/** Key of the site whose stream is open. */
export const site = signal<string | null>(null);
/** The page on stage. */
export const stage = signal<string | null>(null);
/** Id of the followed visitor. */
export const followed = signal<string | null>(null);
/** The rewind on the live screen; null while the screen is live. */
export const rewind = signal<Rewind | null>(null);
/** A message about a change that nobody asked for; empty if there is none. */
export const notice = signal('');

export const scene: LiveScene = { liveState, motion: new Set() };

/** The time of the server, Unix ms. */
export function serverNow(): number {
  return Date.now() + liveState.clockOffset;
}
