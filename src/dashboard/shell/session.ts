/** The signed-in person. */
import { batch, computed, signal } from '@preact/signals';
import { may } from '../../model/rights.ts';
import type { SessionAnswer } from './answers.ts';
import { ApiError, api } from './api.ts';
import { go } from './route.ts';

/** Session of the signed-in person; null if nobody is signed in, undefined until the server has answered. */
export const session = signal<SessionAnswer | null | undefined>(undefined);
/** True after a session that ended by itself: it expired, or was revoked elsewhere. */
export const ended = signal(false);
/** True if the person may change things. */
export const isOwner = computed(() => session.value != null && may(session.value, 'manage'));

/** Asks the server who is signed in. Throws ApiError if it does not answer. */
export async function loadSession(): Promise<void> {
  try {
    enter(await api.session());
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    session.value = null;
  }
}

/** Starts a session, after a sign-in. */
export function enter(value: SessionAnswer): void {
  batch(() => {
    session.value = value;
    ended.value = false;
  });
}

/** Ends the session in this tab. `isInvoluntary`: it expired or was revoked; the person did not sign out. */
export function leave(isInvoluntary: boolean): void {
  // The next person to sign in starts on the live screen, not on this person's page.
  if (!isInvoluntary) go('/admin', true);
  batch(() => {
    session.value = null;
    ended.value = isInvoluntary;
  });
}
